"""What the Linux kernel says about a local process."""

from __future__ import annotations

from answerable.adapters.linux_process.observer import LinuxProcessObserver

__all__ = ["LinuxProcessObserver"]

"""Observe local processes through the Linux kernel's `/proc`."""

from __future__ import annotations

from answerable.adapters.linux_process.connections import user_of
from answerable.adapters.linux_process.observer import LinuxProcessObserver
from answerable.adapters.linux_process.own_command import OwnCommand

__all__ = ["LinuxProcessObserver", "OwnCommand", "user_of"]

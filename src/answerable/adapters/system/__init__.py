"""Time and chance of the machine we run on."""

from __future__ import annotations

from answerable.adapters.system.clock import SystemClock
from answerable.adapters.system.entropy import SystemEntropy

__all__ = ["SystemClock", "SystemEntropy"]

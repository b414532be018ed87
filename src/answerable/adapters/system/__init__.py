"""Provide the clocks and the entropy of the system."""

from __future__ import annotations

from answerable.adapters.system.clock import SystemClock
from answerable.adapters.system.entropy import SystemEntropy

__all__ = ["SystemClock", "SystemEntropy"]

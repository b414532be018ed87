"""Provide the system's clocks."""

from __future__ import annotations

import time

from answerable.core.identity.names.principal import UnixMillis


class SystemClock:
    """Implements `ports.clock.Clock`: CLOCK_REALTIME and CLOCK_MONOTONIC, 0.1 µs each."""

    __slots__ = ()

    def now(self) -> UnixMillis:
        """Return the wall time, Unix milliseconds."""
        return UnixMillis(time.time_ns() // 1_000_000)

    monotonic = staticmethod(time.monotonic)
    """Seconds since an arbitrary start, never decreasing."""

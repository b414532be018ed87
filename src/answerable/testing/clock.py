"""A manual clock for tests: time passes only when the test advances it."""

from __future__ import annotations

from typing import Final

from answerable.core.identity.names.principal import UnixMillis

START: Final = UnixMillis(1_795_000_000_000)
"""18 November 2026, 11:06:40 UTC."""


class ManualClock:
    """Implements `ports.clock.Clock`. `advance` moves wall and monotonic time together, `jump` the wall alone."""

    __slots__ = ("_monotonic", "_now")

    def __init__(self, now: int = START, monotonic: float = 1_000.0) -> None:
        self._now = now
        self._monotonic = monotonic

    def now(self) -> UnixMillis:
        """Return the wall time, Unix milliseconds."""
        return UnixMillis(self._now)

    def monotonic(self) -> float:
        """Return monotonic seconds, never decreasing."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass; raises ValueError for negative seconds. Use `jump` to set the wall clock back."""
        if seconds < 0:
            raise ValueError("time does not pass backwards")
        self._now += round(seconds * 1000)
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock ahead or, when negative, back, without time passing."""
        self._now += round(seconds * 1000)

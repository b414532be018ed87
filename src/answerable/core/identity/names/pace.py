"""Limit the rate of operations that cost a ledger entry, with a token bucket for each name.

Laws: pure; a name that was idle for a minute has a full bucket; memory is bounded, and beyond the bound the least
recently used name is forgotten.
"""

from __future__ import annotations

from typing import Final

NAMES_MAX: Final = 65_536
SECONDS: Final = 60.0


class Pace:
    """A rate limiter: at most `per_minute` at once, and as many a minute after that. Times are monotonic seconds."""

    __slots__ = ("_full_at", "_names_max", "_per_minute")

    def __init__(self, per_minute: int, *, names_max: int = NAMES_MAX) -> None:
        self._per_minute: Final = per_minute
        self._names_max: Final = names_max
        # The time at which a name's bucket is full again determines how many tokens are left.
        self._full_at: Final[dict[str, float]] = {}

    def take(self, name: str, *, at: float) -> float:
        """Take one token. Return 0, or, if none is available and none was taken, the seconds until the next one."""
        each = SECONDS / self._per_minute
        # Remove and insert again, so that the dict is ordered by last use.
        before = max(at, self._full_at.pop(name, at))
        short = before + each - at - SECONDS
        # A tolerance of a thousandth of a token covers rounding of fractions.
        refused = short > each / 1_000
        self._full_at[name] = before if refused else before + each
        if len(self._full_at) > self._names_max:
            del self._full_at[next(iter(self._full_at))]
        return short if refused else 0.0

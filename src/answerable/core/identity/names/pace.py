"""How often somebody may do what costs an entry in the ledger: a token bucket for each name.

Laws: pure; a name that has done nothing for a minute has its whole bucket; memory is bounded, and past
that the name that asked longest ago is forgotten.
"""

from __future__ import annotations

from typing import Final

NAMES_MAX: Final = 65_536
SECONDS: Final = 60.0


class Pace:
    """At most `per_minute` at once, and as many a minute after that. Times are monotonic seconds."""

    __slots__ = ("_full_at", "_names_max", "_per_minute")

    def __init__(self, per_minute: int, *, names_max: int = NAMES_MAX) -> None:
        self._per_minute: Final = per_minute
        self._names_max: Final = names_max
        # When a name's bucket is full again: that alone tells how much is left in it.
        self._full_at: Final[dict[str, float]] = {}

    def take(self, name: str, *, at: float) -> float:
        """Take one; returns 0, or after how many seconds there is one again, and then nothing was taken."""
        each = SECONDS / self._per_minute
        # Taken out and put back: so the first name is the one that asked longest ago.
        before = max(at, self._full_at.pop(name, at))
        short = before + each - at - SECONDS
        # A thousandth of one for what adding fractions loses.
        refused = short > each / 1_000
        self._full_at[name] = before if refused else before + each
        if len(self._full_at) > self._names_max:
            del self._full_at[next(iter(self._full_at))]
        return short if refused else 0.0

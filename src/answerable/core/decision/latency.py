"""A histogram of decision times since the process began, with fixed buckets."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

import msgspec

MICROS: Final = (25, 50, 75, 100, 150, 200, 300, 500, 750, 1_000, 2_000, 5_000, 10_000, 50_000, 250_000)
"""Upper bounds of the buckets in microseconds; one more bucket holds longer times."""
_SECONDS: Final = tuple(micros / 1_000_000 for micros in MICROS)


class Latency(msgspec.Struct):
    """A histogram of decision times. counts: by bucket, not cumulative. seconds: sum of all times."""

    counts: list[int] = msgspec.field(default_factory=lambda: [0] * (len(MICROS) + 1))
    seconds: float = 0.0

    def observe(self, seconds: float) -> None:
        """Count one more time. Costs half a microsecond at most, because it is on the path of every action."""
        self.counts[bisect_left(_SECONDS, seconds)] += 1
        self.seconds += seconds

    @property
    def count(self) -> int:
        """Number of decisions."""
        return sum(self.counts)

    def micros_at(self, percent: int) -> int | None:
        """Return the upper bound of the bucket that contains this percentile; None without decisions, and for the last
        bucket, which has no bound."""
        rank, seen = -(-self.count * percent // 100), 0
        if not rank:
            return None
        for edge, count in zip(MICROS, self.counts, strict=False):
            seen += count
            if seen >= rank:
                return edge
        return None

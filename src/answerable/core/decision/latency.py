"""How long decisions took, since the process began: a histogram of fixed buckets."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

import msgspec

MICROS: Final = (25, 50, 75, 100, 150, 200, 300, 500, 750, 1_000, 2_000, 5_000, 10_000, 50_000, 250_000)
"""Upper edges of the buckets; what took longer is in one more."""
_SECONDS: Final = tuple(micros / 1_000_000 for micros in MICROS)


class Latency(msgspec.Struct):
    """counts: by bucket, each without those below it. seconds: all of them together."""

    counts: list[int] = msgspec.field(default_factory=lambda: [0] * (len(MICROS) + 1))
    seconds: float = 0.0

    def observe(self, seconds: float) -> None:
        """One more. Half a microsecond at most: this is in the way of every action."""
        self.counts[bisect_left(_SECONDS, seconds)] += 1
        self.seconds += seconds

    @property
    def count(self) -> int:
        """How many decisions."""
        return sum(self.counts)

    def micros_at(self, percent: int) -> int | None:
        """The edge of the bucket that so many of a hundred were no slower than; None where there are none, and where it
        is the last bucket, which has no edge."""
        rank, seen = -(-self.count * percent // 100), 0
        if not rank:
            return None
        for edge, count in zip(MICROS, self.counts, strict=False):
            seen += count
            if seen >= rank:
                return edge
        return None

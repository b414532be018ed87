"""Collect durations as whole units and compute their percentiles with bounded memory.

Up to EXACT_MAX values are stored exactly. More are counted in buckets, 32 to each doubling: a reported percentile is
the upper edge of a bucket, which is never below the true value and at most 1/32 above it. Up to 63 units even buckets
are exact.

Laws: order does not matter, and joining two equals adding all values to one.
"""

from __future__ import annotations

from bisect import insort

import msgspec

EXACT_MAX = 64
VALUE_MAX = 2**40 - 1
"""Longer durations count as this."""
_FINE = 32


class Spread(msgspec.Struct, array_like=True):
    """A collection of durations. exact: the values in order, while there are at most EXACT_MAX. buckets: number of
    values in each, once there are more."""

    exact: list[int] = []
    buckets: dict[int, int] = {}

    @property
    def count(self) -> int:
        """Number of values."""
        return len(self.exact) + sum(self.buckets.values())

    @property
    def is_exact(self) -> bool:
        """Whether reported percentiles are exact."""
        return not self.buckets

    def add(self, value: int) -> None:
        """Add a value. A negative value, caused by a clock that was set back, counts as zero."""
        value = min(max(value, 0), VALUE_MAX)
        if self.buckets:
            self._put(value, 1)
            return
        insort(self.exact, value)
        self._fill()

    def join(self, other: Spread) -> None:
        """Add all values of another spread."""
        if self.buckets or other.buckets:
            for value in [*self.exact, *other.exact]:
                self._put(value, 1)
            self.exact = []
            for number, count in other.buckets.items():
                self.buckets[number] = self.buckets.get(number, 0) + count
            return
        self.exact = sorted([*self.exact, *other.exact])
        self._fill()

    def at(self, percent: int) -> int | None:
        """Return the percentile by nearest rank; None where there are no values."""
        count = self.count
        if not count:
            return None
        rank = max(1, -(-count * percent // 100))
        if self.exact:
            return self.exact[rank - 1]
        seen = 0
        for number in sorted(self.buckets):
            seen += self.buckets[number]
            if seen >= rank:
                break
        return upper_edge(number)

    def _fill(self) -> None:
        if len(self.exact) > EXACT_MAX:
            for value in self.exact:
                self._put(value, 1)
            self.exact = []

    def _put(self, value: int, count: int) -> None:
        number = bucket_of(value)
        self.buckets[number] = self.buckets.get(number, 0) + count


def bucket_of(value: int) -> int:
    """Return the bucket number of a value."""
    shift = max(0, value.bit_length() - 6)
    return shift * _FINE + (value >> shift)


def upper_edge(number: int) -> int:
    """Return the greatest value in a bucket."""
    shift = max(0, number // _FINE - 1)
    return ((number - shift * _FINE + 1) << shift) - 1

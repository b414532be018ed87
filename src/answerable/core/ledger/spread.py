"""How long things took: a number of whole units for each, and what share of them took no longer than what.

Up to EXACT_MAX values are kept as they are. More are counted in buckets, 32 to each doubling: what is told of them is
the upper edge of a bucket, which is never below the true value and at most 1/32 above it. Up to 63 units even buckets
are exact.

Laws: order does not matter, and two joined are what all values in one would be.
"""

from __future__ import annotations

from bisect import insort

import msgspec

EXACT_MAX = 64
VALUE_MAX = 2**40 - 1
"""Longer ones count as this."""
_FINE = 32


class Spread(msgspec.Struct, array_like=True):
    """exact: while they are few, in order. buckets: how many are in each, once they are more."""

    exact: list[int] = []
    buckets: dict[int, int] = {}

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.exact) + sum(self.buckets.values())

    @property
    def is_exact(self) -> bool:
        """Whether what is told of them is exact."""
        return not self.buckets

    def add(self, value: int) -> None:
        """One more. What is below zero, by a clock that was set back, counts as zero."""
        value = min(max(value, 0), VALUE_MAX)
        if self.buckets:
            self._put(value, 1)
            return
        insort(self.exact, value)
        self._fill()

    def join(self, other: Spread) -> None:
        """With all of another one."""
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
        """What so many of a hundred were no longer than (nearest rank); None where there are none."""
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
    """The number of the bucket of a value."""
    shift = max(0, value.bit_length() - 6)
    return shift * _FINE + (value >> shift)


def upper_edge(number: int) -> int:
    """The greatest value in a bucket."""
    shift = max(0, number // _FINE - 1)
    return ((number - shift * _FINE + 1) << shift) - 1

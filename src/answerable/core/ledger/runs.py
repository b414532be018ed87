"""Runs: the entries about one mandate since a log was opened, numbered and chained, so that a missing one shows.

Laws: numbers count from 0 without a gap; each entry names the leaf hash of the one before; a place is given to an entry
only when the log has taken it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS_MAX: Final = 10_000
"""Runs that are kept in mind; past that the one begun first is forgotten, and its mandate begins another."""
RUN_ID_BYTES: Final = 8


class Run(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The place of one entry in its run, as the leaf says it. prev: hex, empty for the first."""

    id: str
    prev: str
    seq: int


class Runs:
    """The runs of one opening of one log. random: that many unpredictable bytes."""

    __slots__ = ("_next", "_random")

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._next: dict[str, Run] = {}

    def place(self, mandate: str) -> Run:
        """Where the next entry about this mandate would stand. Asking twice gives the same."""
        found = self._next.get(mandate)
        if found is None:
            if len(self._next) >= RUNS_MAX:
                del self._next[next(iter(self._next))]
            found = self._next[mandate] = Run(id=self._random(RUN_ID_BYTES).hex(), prev="", seq=0)
        return found

    def taken(self, mandate: str, place: Run, leaf_hash: bytes) -> None:
        """The log has taken an entry with this place."""
        self._next[mandate] = Run(id=place.id, prev=leaf_hash.hex(), seq=place.seq + 1)

"""Number and chain the entries about one mandate within one opening of a log, so that a missing entry is detectable.

Laws: numbers count from 0 without a gap; each entry names the leaf hash of the one before; a number is assigned only
when the log has accepted the entry.
"""

from __future__ import annotations

from binascii import b2a_base64
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS_MAX: Final = 10_000
"""Runs held in memory; past that the oldest is dropped, and its mandate starts a new run."""
RUN_ID_BYTES: Final = 8
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


class Run(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The position of one entry in its run, as in the leaf. prev: base64url, empty for the first; hex in earlier
    entries."""

    id: str
    prev: str
    seq: int


class Runs:
    """The runs of one opening of one log. random: returns that many unpredictable bytes."""

    __slots__ = ("_next", "_random")

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._next: dict[str, Run] = {}

    def place(self, mandate: str) -> Run:
        """Return the position of the next entry about this mandate. Repeated calls return the same."""
        found = self._next.get(mandate)
        if found is None:
            if len(self._next) >= RUNS_MAX:
                del self._next[next(iter(self._next))]
            found = self._next[mandate] = Run(id=self._random(RUN_ID_BYTES).hex(), prev="", seq=0)
        return found

    def taken(self, mandate: str, place: Run, leaf_hash: bytes) -> None:
        """Note that the log accepted an entry with this position."""
        # As `to_base64url`, for 32 bytes.
        prev = b2a_base64(leaf_hash, newline=False).translate(_URL_SAFE)[:-1].decode()
        self._next[mandate] = Run(id=place.id, prev=prev, seq=place.seq + 1)

"""Which place of which status list a token gets: drawn at random, so that places say nothing of order or of number.

Laws: a place is drawn once; some places belong to nobody, and some of these say `invalid` from the start, so that a
list does not tell how many tokens there are or were ended; all lists have one size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.errors.codes.mandate import STATUS_LIST_FULL

if TYPE_CHECKING:
    from collections.abc import Callable

LIST_PLACES: Final = 1 << 18
"""Of one bit each: 32 KiB, which fits into one signed statement whatever the bits are."""
LIST_BYTES: Final = LIST_PLACES // 8
TOKENS_PER_LIST_MAX: Final = LIST_PLACES * 3 // 4
"""Then a new list is begun: the last free places would be hard to find, and easy to guess."""
DECOYS_MAX: Final = LIST_PLACES // 64
"""Places of nobody that say `invalid`, at most."""

_INDEX_BYTES: Final = 4


def decoys(random: Callable[[int], bytes]) -> bytes:
    """A new list's places of nobody that say `invalid`, as a bitmap: how many there are is drawn, too."""
    made = bytearray(LIST_BYTES)
    drawn_places(made, int.from_bytes(random(_INDEX_BYTES)) % DECOYS_MAX, random)
    return bytes(made)


def drawn_places(taken: bytearray, count: int, random: Callable[[int], bytes]) -> list[int]:
    """Take so many free places of a bitmap, at random, and mark them in it.

    Raises Broken (`status.list_full`) where more are asked for than a list gives.
    """
    places = len(taken) * 8
    if taken and count > places - int.from_bytes(taken).bit_count():
        raise STATUS_LIST_FULL()
    found: list[int] = []
    # The number of places is a power of two, so that cutting a random number off favours none of them.
    mask = places - 1
    while len(found) < count:
        drawn = random(_INDEX_BYTES * (count - len(found)))
        for start in range(0, len(drawn), _INDEX_BYTES):
            place = int.from_bytes(drawn[start : start + _INDEX_BYTES]) & mask
            octet, bit = place >> 3, 1 << (place & 7)
            if not taken[octet] & bit:
                taken[octet] |= bit
                found.append(place)
    return found

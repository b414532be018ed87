"""Assign tokens to places in status lists. Places are drawn at random, so that they reveal neither the order nor the
number of tokens.

Laws: a place is drawn once; some places belong to no token, and some of these are marked `invalid` from the start, so
that a list does not reveal how many tokens exist or were revoked; all lists have the same size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.errors.codes.mandate import STATUS_LIST_FULL

if TYPE_CHECKING:
    from collections.abc import Callable

LIST_PLACES: Final = 1 << 18
"""Places of one bit each: 32 KiB, which fits into one signed statement whatever the bits are."""
LIST_BYTES: Final = LIST_PLACES // 8
TOKENS_PER_LIST_MAX: Final = LIST_PLACES * 3 // 4
"""Limit after which a new list is started: the last free places would be hard to find, and easy to guess."""
DECOYS_MAX: Final = LIST_PLACES // 64
"""Most places without a token that are marked `invalid`."""

_INDEX_BYTES: Final = 4


def decoys(random: Callable[[int], bytes]) -> bytes:
    """Draw the decoys of a new list, as a bitmap: places without a token that are marked `invalid`. Their number is
    random too."""
    made = bytearray(LIST_BYTES)
    drawn_places(made, int.from_bytes(random(_INDEX_BYTES)) % DECOYS_MAX, random)
    return bytes(made)


def drawn_places(taken: bytearray, count: int, random: Callable[[int], bytes]) -> list[int]:
    """Draw `count` free places of a bitmap at random, and mark them in the bitmap.

    Raises Broken (`status.list_full`) if fewer places are free.
    """
    places = len(taken) * 8
    if taken and count > places - int.from_bytes(taken).bit_count():
        raise STATUS_LIST_FULL()
    found: list[int] = []
    # The number of places is a power of two, so masking a random number is unbiased.
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

"""Reading the ledger in short turns, so that actions go on beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from answerable.core.ledger.opened import leaf_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from answerable.core.ledger.entry import StoredEntry
    from answerable.flows.state.walk import Walk

TURN_SECONDS: Final = 0.001
"""Of work at once, before whatever else waits is let in."""
REST_SECONDS: Final = 0.002
"""Between two turns, so that no more than a third of a core goes into it."""
CLOCK_BACK_MS_MAX: Final = 60_000
"""How far clocks may have gone back between two entries."""


def begins_at(walk: Walk, since: int) -> int:
    """The first entry that may be of that time or later; clocks that went back make it an earlier one, never a later.

    since: Unix milliseconds.
    """
    low, high = 0, walk.ledger.size
    while low < high:
        middle = (low + high) // 2
        at = leaf_of(walk.ledger.entry(middle)).get("at")
        if type(at) is int and at < since - CLOCK_BACK_MS_MAX:
            low = middle + 1
        else:
            high = middle
    return low


async def in_turns(walk: Walk, start: int, ends_at: float) -> AsyncIterator[StoredEntry]:
    """Entries from an index on, with a rest after each turn, until the time is up."""
    rests_at = walk.clock.monotonic() + TURN_SECONDS
    for stored in walk.ledger.replay(start):
        yield stored
        now = walk.clock.monotonic()
        if now >= ends_at:
            return
        if now >= rests_at:
            await anyio.sleep(REST_SECONDS)
            rests_at = walk.clock.monotonic() + TURN_SECONDS

"""Read the ledger in short turns with rests, so that actions go on beside the read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from answerable.core.ledger.opened import leaf_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from answerable.core.ledger.entry import StoredEntry
    from answerable.ports.clock import Clock
    from answerable.ports.ledger import Ledger
    from answerable.ports.stored_log import LogSnapshot

TURN_SECONDS: Final = 0.001
"""Work in one turn before other tasks run."""
REST_SECONDS: Final = 0.002
"""Rest between two turns, so that reading uses at most a third of a core."""
CLOCK_BACK_MS_MAX: Final = 60_000
"""How far clocks may have gone back between two entries."""


def begins_at(ledger: LogSnapshot, since: int) -> int:
    """Return the index of the first entry that may be of `since` (Unix milliseconds) or later.

    If clocks went back, the result is earlier than needed, never later.
    """
    low, high = 0, ledger.size
    while low < high:
        middle = (low + high) // 2
        at = leaf_of(ledger.entry(middle)).get("at")
        if type(at) is int and at < since - CLOCK_BACK_MS_MAX:
            low = middle + 1
        else:
            high = middle
    return low


async def in_turns(ledger: Ledger, clock: Clock, start: int, ends_at: float) -> AsyncIterator[StoredEntry]:
    """Yield entries from an index on, resting after each turn, until `ends_at` (monotonic seconds)."""
    rests_at = clock.monotonic() + TURN_SECONDS
    for stored in ledger.replay(start):
        yield stored
        now = clock.monotonic()
        if now >= ends_at:
            return
        if now >= rests_at:
            await anyio.sleep(REST_SECONDS)
            rests_at = clock.monotonic() + TURN_SECONDS

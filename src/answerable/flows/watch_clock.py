"""Noticing that the wall clock was set back, and saying what follows from it.

Sequences, serials, uses and ends are durable and do not go back with it. What a clock that is set back can do is let a
document that had ended count again here, and keep keys from signing that are not valid yet.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NoReturn

import anyio

from answerable.core.ledger.opened import leaf_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from answerable.flows.walk import Walk

LOOK_SECONDS: Final = 5.0
LOOKED_AT: Final = 1_000
"""Entries, the last ones."""
SET_BACK_MILLIS: Final = 2_000
"""Less is what a clock that is kept right by a time server does now and then."""
ADVICE: Final = (
    "until it is right, nothing is signed by keys that are not valid yet, and what had ended by it, such as a "
    "JWT-SVID, may count again here: set it right, and have a time server keep it so"
)

_log: Final = logging.getLogger(__name__)


async def watch_clock(walk: Walk, *, sleep: Callable[[float], Awaitable[None]] = anyio.sleep) -> NoReturn:
    """For ever. Tells of a wall clock that stands before the newest entry of the ledger, and of each time that it was
    set back while this ran."""
    newest = newest_entry(walk)
    if (behind := newest - walk.clock.now()) > SET_BACK_MILLIS:
        _log.warning("the clock is %d s behind the newest entry of the ledger: %s", behind // 1000, ADVICE)
    ahead = _ahead(walk)
    while True:
        await sleep(LOOK_SECONDS)
        now = _ahead(walk)
        if ahead - now > SET_BACK_MILLIS:
            _log.warning("the clock was set back by %d s: %s", (ahead - now) // 1000, ADVICE)
        # A jump ahead is no news until it is taken back.
        ahead = now


def newest_entry(walk: Walk) -> int:
    """The latest time at which one of the last entries of the ledger was written, Unix milliseconds; 0 without any.

    Not of the very last alone: whoever comes back while we start may have one written at the clock's new time.
    """
    newest = walk.ledger.replay(max(0, walk.ledger.size - LOOKED_AT))
    return max((int(str(leaf_of(stored)["at"])) for stored in newest), default=0)


def _ahead(walk: Walk) -> int:
    """Of the clock that never goes back; it changes only when the wall clock is set."""
    return walk.clock.now() - int(walk.clock.monotonic() * 1000)

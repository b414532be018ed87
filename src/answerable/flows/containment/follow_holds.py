"""Cut open calls and streams of this process when any process places a hold on them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

from answerable.errors import AnswerableError
from answerable.flows.recording.rounds import until_round
from answerable.flows.revocation.cut_held import cut_held

if TYPE_CHECKING:
    from answerable.core.containment.hold import HoldId
    from answerable.flows.state.parts import AuthorityRegisters, LiveAccess, OpenIntent

POLL_SECONDS: Final = 0.02
"""Poll interval while a call or stream is open."""
REST_SECONDS: Final = 1.0
"""Longest wait while nothing is open; opening a call or stream ends the wait at once."""

_log: Final = logging.getLogger(__name__)


async def follow_holds(
    open_intents: dict[int, OpenIntent],
    authority: AuthorityRegisters,
    live: LiveAccess,
    cuts: dict[HoldId, int],
    *,
    poll_seconds: float = POLL_SECONDS,
    rest_seconds: float = REST_SECONDS,
) -> None:
    """Check until cancelled whether a hold was placed, and cut the calls and streams within its reach. A failed check
    is repeated.

    Checks every `poll_seconds` while a call or a stream is open. Otherwise there is nothing to cut, and it waits for
    one.

    Only open calls and streams depend on this task: a held agent starts nothing, whether the task runs or not.
    """
    seen = -1
    while True:
        while not (live.calls or live.streams):
            await live.opened.heard(seconds_max=until_round(rest_seconds))
        try:
            # Read the epoch before cutting: a hold placed after that read changes the epoch again.
            epoch = authority.holds.epoch()
            if epoch != seen:
                cut = cut_held(open_intents, authority, live, cuts)
                if cut:
                    _log.warning("%d upstream calls and streams were cut, as they are held", cut)
                seen = epoch
        except AnswerableError as error:
            _log.warning("what is held cannot be looked at right now: %s", error.message)
        await anyio.sleep(poll_seconds)

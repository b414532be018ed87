"""Holds of whatever process end what is open in this one, within a moment."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

from answerable.errors import AnswerableError
from answerable.flows.revocation.cut_held import cut_held

if TYPE_CHECKING:
    from answerable.flows.state.walk import Walk

POLL_SECONDS: Final = 0.02
"""While anything is open."""
REST_SECONDS: Final = 1.0
"""While nothing is; what is opened ends the rest at once."""

_log: Final = logging.getLogger(__name__)


async def follow_holds(
    walk: Walk, *, poll_seconds: float = POLL_SECONDS, rest_seconds: float = REST_SECONDS
) -> None:
    """For ever: look whether anything was held, and cut what is within its reach. What fails is tried again.

    Looks every `poll_seconds` while a call or a stream is open; else there is nothing to cut, and it waits for one.

    Nothing depends on it that is not open already: what is held starts nothing, whether this runs or not.
    """
    seen = -1
    while True:
        while not (walk.calls or walk.streams):
            await walk.opened.heard(seconds_max=rest_seconds)
        try:
            # In this order: what is placed after the look at the epoch is another one.
            epoch = walk.holds.epoch()
            if epoch != seen:
                cut = cut_held(walk)
                if cut:
                    _log.warning("%d upstream calls and streams were cut, as they are held", cut)
                seen = epoch
        except AnswerableError as error:
            _log.warning("what is held cannot be looked at right now: %s", error.message)
        await anyio.sleep(poll_seconds)

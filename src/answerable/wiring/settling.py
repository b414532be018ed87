"""What is due again and again: intents without an end, and what is in force or counted and not in the ledger yet."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

from answerable.errors import Unavailable
from answerable.flows.approval.notify_attention_check import tell_ended_canaries
from answerable.flows.approval.send_attention_check import send_attention_check
from answerable.flows.counters.door_desk import record_door_refusals
from answerable.flows.recovery.settle_open_intents import record_counted_refusals, settle_open_intents
from answerable.flows.revocation.place_hold import resume_holds
from answerable.flows.revocation.revoke_authority import record_revocations
from answerable.ports.ledger import PORT as LEDGER
from answerable.ports.ledger import TAKES_NOTHING_NOW
from answerable.wiring.counts import keep_counts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from answerable.flows.state.walk import Walk
    from answerable.flows.trust_domain.workloads import Workloads


REFUSED_SECONDS: Final = 1.0

_log: Final = logging.getLogger(__name__)


async def settling(walk: Walk, workloads: Workloads | None, seconds: float) -> None:
    """For ever, each so many seconds. Registers or keys that cannot be had now end nothing; a log that failed does."""
    rounds: tuple[Callable[[], Awaitable[object]], ...] = (
        partial(settle_open_intents, walk),
        partial(record_revocations, walk),
        partial(resume_holds, walk, workloads),
        partial(record_counted_refusals, walk),
    )
    while True:
        await anyio.sleep(seconds)
        for settled in rounds:
            try:
                with when_there_is_room():
                    await settled()
            except Unavailable as failed:
                if failed.port == LEDGER:
                    raise
                _log.warning("what is due to be written is tried again in %g s: %s", seconds, failed.message)
        await keep_canaries(walk)
        await keep_counts(walk)


async def counted_at_last(walk: Walk) -> None:
    """Before this process ends: what was only counted so far."""
    with when_there_is_room():
        await record_counted_refusals(walk)
        await record_door_refusals(walk, closing=True)
    await keep_counts(walk)


async def telling_refused(walk: Walk) -> None:
    """For ever, once a second: who was refused at a door, in the ledger and in the log of the server. Nothing depends
    on it: what cannot be written now is due again."""
    failing = ""
    while True:
        await anyio.sleep(REFUSED_SECONDS)
        try:
            await record_door_refusals(walk)
            failing = ""
        except Unavailable as failed:
            if failed.code != failing:
                _log.warning("who is refused at doors is only counted for now: %s", failed.message)
            failing = failed.code


async def keep_canaries(walk: Walk) -> None:
    """One round of canaries. No action depends on them: what cannot be had now, or has no room, is due again."""
    try:
        await tell_ended_canaries(walk)
        await send_attention_check(walk)
    except Unavailable as failed:
        _log.warning("no canary is asked or told for now: %s", failed.message)


@contextmanager
def when_there_is_room() -> Iterator[None]:
    """A log without room ends nothing: it takes no intents, and what was to be written now is due again."""
    try:
        yield
    except Unavailable as failed:
        if failed.code not in TAKES_NOTHING_NOW:
            raise

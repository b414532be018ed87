"""Run the periodic work: end overdue intents, and record what is in force or counted but not yet in the ledger."""

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
from answerable.flows.recording.rounds import until_round
from answerable.flows.recovery.settle_open_intents import record_counted_refusals, settle_open_intents
from answerable.flows.revocation.place_hold import resume_holds
from answerable.flows.revocation.revoke_authority import record_revocations
from answerable.ports.ledger import PORT as LEDGER
from answerable.ports.ledger import TAKES_NOTHING_NOW
from answerable.wiring.counts import keep_counts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from answerable.flows.state.parts import AuthorityRegisters, Counters, LiveAccess, Recorder
    from answerable.flows.state.steps import Deciding, Planning
    from answerable.flows.trust_domain.workloads import Workloads
    from answerable.ports.registry_store import RegistryStore


REFUSED_SECONDS: Final = 1.0

_log: Final = logging.getLogger(__name__)


async def settling(
    recorder: Recorder,
    planning: Planning,
    deciding: Deciding,
    live: LiveAccess,
    workloads: Workloads | None,
    seconds: float,
) -> None:
    """Run all rounds periodically, forever. Unavailable registers or keys end nothing; a failed log does."""
    rounds: tuple[Callable[[], Awaitable[object]], ...] = (
        partial(settle_open_intents, recorder, planning.authority, deciding.counters, deciding.asking.limits),
        partial(record_revocations, recorder, planning.authority, live),
        partial(resume_holds, recorder, planning.authority, workloads),
        partial(record_counted_refusals, recorder, deciding.asking.passkeys, deciding.counters.quota),
    )
    while True:
        await anyio.sleep(until_round(seconds))
        for settled in rounds:
            try:
                with when_there_is_room():
                    await settled()
            except Unavailable as failed:
                if failed.port == LEDGER:
                    raise
                _log.warning(
                    "due entries cannot be written; next attempt in %g s: %s", seconds, failed.message
                )
        await keep_canaries(recorder, planning, deciding, live)
        await keep_counts(recorder, planning.authority.mandates, deciding.counters, deciding.asking.figures)


async def counted_at_last(recorder: Recorder, authority: AuthorityRegisters, deciding: Deciding) -> None:
    """Before this process ends, record what was only counted so far."""
    with when_there_is_room():
        await record_counted_refusals(recorder, deciding.asking.passkeys, deciding.counters.quota)
        await record_door_refusals(recorder, authority.registry, deciding.counters, closing=True)
    await keep_counts(recorder, authority.mandates, deciding.counters, deciding.asking.figures)


async def telling_refused(recorder: Recorder, registry: RegistryStore, counters: Counters) -> None:
    """Record refusals at the endpoints in the ledger and the server's log, once a second, forever. Nothing depends on
    it: failed writes are repeated."""
    failing = ""
    while True:
        await anyio.sleep(until_round(REFUSED_SECONDS))
        try:
            await record_door_refusals(recorder, registry, counters)
            failing = ""
        except Unavailable as failed:
            if failed.code != failing:
                _log.warning("refused callers are only counted now: %s", failed.message)
            failing = failed.code


async def keep_canaries(recorder: Recorder, planning: Planning, deciding: Deciding, live: LiveAccess) -> None:
    """Run one round of attention checks. No action depends on them: failures, or a full log, are retried in the next
    round."""
    try:
        await tell_ended_canaries(recorder, planning.authority, deciding.asking)
        await send_attention_check(recorder, planning, deciding, live)
    except Unavailable as failed:
        _log.warning("test questions cannot be asked or recorded now: %s", failed.message)


@contextmanager
def when_there_is_room() -> Iterator[None]:
    """Tolerate a log without room: it takes no intents, and the writes of this block are repeated later."""
    try:
        yield
    except Unavailable as failed:
        if failed.code not in TAKES_NOTHING_NOW:
            raise

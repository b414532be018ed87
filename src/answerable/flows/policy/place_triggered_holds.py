"""Putting into force everywhere, and on record, what stop rules tripped in this process.

What was tripped holds in this process already. Until it is placed here another process on the same registers goes on,
and a crash forgets it: then the next start finds by what was counted that it was too much (`trip_restored`).

Laws: a hold gets to every process before anything is carried out or written down, and waits for no warning, no dry run
and none that fails; what fails is tried again. What the ledger needs to name a rule is made while there is room, so
that a hold is on record on a full disk, too.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from answerable.core.containment.hold import described, placed_by
from answerable.core.ledger.records_rules import rule_fired
from answerable.errors import AnswerableError, Unavailable
from answerable.flows.counters.trigger_rules import sweep
from answerable.flows.recording.record_entry import pseudonym_of, record_entry
from answerable.flows.revocation.place_hold import carry_out, hold_everywhere
from answerable.flows.state.stop_rules import TRIPS_MAX
from answerable.flows.validity.holds_beside_quota import QUOTA

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.state.stop_rules import RuleTrigger, StopRules, TripQueue
    from answerable.flows.state.walk import Walk
    from answerable.flows.trust_domain.workloads import Workloads

WRITTEN_PER_SECOND_MAX: Final = 50
"""Each of them writes to the log, and may end instances: the walk goes on beside it. What is held waits for none of it,
as it is in the register by then: these writes are bounded by how many holds may wait, and by the disk."""
TURN_SECONDS: Final = 0.02
"""Between two looks at what waits because so many were written down in this second."""
SWEEP_SECONDS: Final = 0.5
SAID_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 0.5
FAILED_MAX: Final = 8
"""Of one round: where so many fail it is the register or the log that does, and not one of them."""

_SAID: Final = {"held": "holds", "would_hold": "would hold", "warned": "is about to hold"}
_log: Final = logging.getLogger(__name__)


async def follow_rules(
    walk: Walk,
    workloads: Workloads | None = None,
    *,
    per_second_max: int = WRITTEN_PER_SECOND_MAX,
) -> None:
    """For ever: place what was tripped, and beside that, so that no slow disk delays it, carry it out and write it
    down, so many a second at most; and hold what is still too much after its grace."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_placing, walk)
        await _writing(walk, workloads, per_second_max)


async def place_triggered_holds(
    walk: Walk, workloads: Workloads | None = None, *, count_max: int = 1_000
) -> int:
    """Place all that stop rules tripped, then carry out and write down so many of them, the oldest first; returns how
    many that was.

    Raises what the first of them raised that failed, after the others were tried; it is done when this is called again.
    """
    found = _Round()
    await _place(walk, found, retry=True)
    await _write(walk, workloads, found, count_max=count_max, retry=True)
    if found.failed is not None:
        raise found.failed
    return found.done


def name_rules(walk: Walk, snapshot: RegistrySnapshot) -> bool:
    """Make the keys under which the ledger names the rules of these documents, and the quota; whether all are there.

    May wait for the disk. Called again, it makes those that there was no room for.
    """
    with suppress(Unavailable):
        for rule in (QUOTA, *snapshot.stop_rules):
            pseudonym_of(walk, placed_by(rule))
        return True
    return False


async def _placing(walk: Walk) -> None:
    named: RegistrySnapshot | None = None
    swept = walk.clock.monotonic() - SWEEP_SECONDS
    retried = anyio.current_time()
    while True:
        found, retry = _Round(), anyio.current_time() - retried >= RETRY_SECONDS
        if retry:
            retried = anyio.current_time()
        try:
            now = walk.clock.monotonic()
            if now - swept >= SWEEP_SECONDS:
                sweep(walk)
                swept, current = now, walk.registry.current
                if named is not current and await anyio.to_thread.run_sync(name_rules, walk, current):
                    named = current
            await _place(walk, found, retry=retry)
        except AnswerableError as error:
            found.failed = found.failed or error
        if found.failed is not None and retry:
            _log.warning(
                "what stop rules tripped holds in this process alone for now: %s", found.failed.message
            )
        await walk.stop_rules.to_place.heard(seconds_max=SWEEP_SECONDS)


async def _writing(walk: Walk, workloads: Workloads | None, per_second_max: int) -> None:
    said = walk.clock.monotonic() - SAID_SECONDS
    second = retried = anyio.current_time()
    left = per_second_max
    while True:
        found, retry = _Round(), anyio.current_time() - retried >= RETRY_SECONDS
        if retry:
            retried = anyio.current_time()
        await _write(walk, workloads, found, count_max=left, retry=retry)
        left -= found.done
        if found.failed is not None and retry:
            _log.warning(
                "what stop rules tripped is not wholly carried out and written down: %s", found.failed.message
            )
        now = walk.clock.monotonic()
        waiting = len(walk.stop_rules.placed) + len(walk.stop_rules.said)
        if (waiting or walk.stop_rules.unsaid) and now - said >= SAID_SECONDS:
            _say_waiting(walk.stop_rules, waiting, per_second_max)
            said = now
        more = walk.stop_rules.placed.due + walk.stop_rules.said.due
        rest = RETRY_SECONDS if waiting or walk.stop_rules.unsaid else SAID_SECONDS
        await walk.stop_rules.to_write.heard(seconds_max=TURN_SECONDS if more else rest)
        if anyio.current_time() - second >= 1:
            second, left = anyio.current_time(), per_second_max


@dataclass(slots=True)
class _Round:
    """done: carried out and written down. failed: why the first that failed did."""

    done: int = 0
    failures: int = 0
    failed: AnswerableError | None = None


async def _place(walk: Walk, found: _Round, *, retry: bool) -> None:
    """In force in every process. A crash after this: each of them says by which rule."""

    async def held(trip: RuleTrigger) -> None:
        await _held_everywhere(walk, trip)

    queue = walk.stop_rules.held
    if retry:
        queue.retry()
    await _each(queue, held, found, count_max=len(queue))


async def _write(
    walk: Walk, workloads: Workloads | None, found: _Round, *, count_max: int, retry: bool
) -> None:
    """Carried out, and on record which rule it was, and why; then what is only said."""

    async def carried_out(trip: RuleTrigger) -> None:
        await _carried_out(walk, trip, workloads)

    async def written(trip: RuleTrigger) -> None:
        await _written(walk, trip, "")

    state = walk.stop_rules
    for queue, ending in ((state.placed, carried_out), (state.said, written)):
        if retry:
            queue.retry()
        found.done += await _each(queue, ending, found, count_max=count_max - found.done)


async def _each(
    queue: TripQueue, end: Callable[[RuleTrigger], Awaitable[None]], found: _Round, *, count_max: int
) -> int:
    """End so many of a queue at most; returns how many have come to their end. Those that fail stand aside."""
    done = 0
    for _ in range(min(count_max, queue.due)):
        trip = queue.first()
        if trip is None:
            break
        try:
            await end(trip)
        except AnswerableError as error:
            found.failed = found.failed or error
            found.failures += 1
            queue.put_aside(queue.due if found.failures >= FAILED_MAX else 1)
        else:
            queue.done()
            done += 1
    return done


async def _held_everywhere(walk: Walk, trip: RuleTrigger) -> None:
    state, hold = walk.stop_rules, trip.hold
    if hold is None:
        return
    found = await hold_everywhere(walk, hold)
    trip.placed, trip.in_flight = found.hold, found.in_flight
    # No more a matter of this process alone, and counted anew once it is lifted.
    walk.tripped.placed(hold)
    state.history.forget(trip.rule.name, trip.owner, trip.keys)
    state.entries.pop((trip.rule.name, trip.owner), None)
    if len(state.placed) < TRIPS_MAX:
        state.placed.append(trip)
    else:
        # It is in force and says which rule it is of; whoever looks for what is not on record carries it out.
        state.by_hold.pop(hold.id, None)
        state.unsaid += 1


async def _carried_out(walk: Walk, trip: RuleTrigger, workloads: Workloads | None) -> None:
    if trip.placed is None or trip.hold is None:
        return
    await carry_out(walk, trip.placed, trip.in_flight, workloads=workloads)
    await _written(walk, trip, str(trip.placed.id))
    walk.stop_rules.by_hold.pop(trip.hold.id, None)


async def _written(walk: Walk, trip: RuleTrigger, hold: str) -> None:
    rule = trip.rule
    _log.warning(
        "stop rule %s %s %s: %s of %s %s is %d, more than %d",
        rule.name,
        _SAID[trip.fired],
        described(trip.what),
        rule.watches,
        rule.over,
        trip.owner,
        trip.value,
        rule.limit,
    )
    entry = rule_fired(
        rule,
        at=walk.clock.now(),
        fired=trip.fired,
        since=trip.at,
        owner=trip.owner,
        counted=trip.keys,
        value=trip.value,
        what=trip.what,
        hold=hold,
        entries=trip.entries,
    )
    _, left = await record_entry(walk, entry)
    if left is not None:
        raise left


def _say_waiting(state: StopRules, waiting: int, per_second_max: int) -> None:
    if waiting:
        _log.warning(
            "%d more firings of stop rules wait to be written down, %d a second: what they hold holds meanwhile",
            waiting,
            per_second_max,
        )
    if state.unsaid:
        _log.warning("%d firings of stop rules were not written down: too many", state.unsaid)
        state.unsaid = 0

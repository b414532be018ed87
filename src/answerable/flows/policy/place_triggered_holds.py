"""Place holds that stop rules tripped in this process: into force in every process, and on record.

A tripped hold is already in force in this process. Until it is placed, other processes on the same registers go on, and
a crash loses it; the next start then finds from the counts that the limit was exceeded (`trip_restored`).

Laws: a hold reaches every process before it is carried out or recorded, and does not wait for warnings, dry runs or
failing holds. Failures are retried. The ledger keys that name a rule are created while there is room, so that a hold
can be recorded on a full disk.
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
from answerable.flows.counters.rule_sources import sources_of
from answerable.flows.counters.trigger_rules import sweep
from answerable.flows.recording.record_entry import pseudonym_of, record_entry
from answerable.flows.revocation.place_hold import carry_out, hold_everywhere
from answerable.flows.state.stop_rules import TRIPS_MAX
from answerable.flows.validity.holds_beside_quota import QUOTA

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.state.parts import AuthorityRegisters, Counters, LiveAccess, Recorder
    from answerable.flows.state.stop_rules import RuleTrigger, StopRules, TripQueue
    from answerable.flows.trust_domain.workloads import Workloads

WRITTEN_PER_SECOND_MAX: Final = 50
"""Trips written per second. Each writes to the log and may end instances, while the walk goes on. Holds do not wait for
this: they are in the register by then, and the register's writes are bounded by the number of waiting holds and by the
disk."""
TURN_SECONDS: Final = 0.02
"""Pause between two checks of what waits because this second's limit is used up."""
SWEEP_SECONDS: Final = 0.5
SAID_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 0.5
FAILED_MAX: Final = 8
"""Failures in one round after which the register or the log, not a single trip, is taken to fail."""

_SAID: Final = {"held": "holds", "would_hold": "would hold", "warned": "is about to hold"}
_log: Final = logging.getLogger(__name__)


async def follow_rules(
    recorder: Recorder,
    authority: AuthorityRegisters,
    live: LiveAccess,
    counters: Counters,
    workloads: Workloads | None = None,
    *,
    per_second_max: int = WRITTEN_PER_SECOND_MAX,
) -> None:
    """Place tripped holds, and in a second task carry them out and record them, at a limited rate. Runs without end.

    Two tasks, so that a slow disk does not delay placing. Also holds limits still exceeded after their grace period.
    """
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_placing, recorder, authority, counters)
        await _writing(recorder, authority, live, counters, workloads, per_second_max)


async def place_triggered_holds(
    recorder: Recorder,
    authority: AuthorityRegisters,
    live: LiveAccess,
    counters: Counters,
    workloads: Workloads | None = None,
    *,
    count_max: int = 1_000,
) -> int:
    """Place all tripped holds, then carry out and record up to `count_max` of them, oldest first. Return how many.

    Raises the first failure, after trying the others; call it again to retry.
    """
    found = _Round()
    await _place(recorder, authority, counters, found, retry=True)
    await _write(recorder, authority, live, counters, workloads, found, count_max=count_max, retry=True)
    if found.failed is not None:
        raise found.failed
    return found.done


def name_rules(recorder: Recorder, snapshot: RegistrySnapshot) -> bool:
    """Create the keys under which the ledger names the rules of these documents, and the quota. Return whether all
    exist.

    May wait for the disk. Call it again to create those for which there was no room.
    """
    with suppress(Unavailable):
        for rule in (QUOTA, *snapshot.stop_rules):
            pseudonym_of(recorder, placed_by(rule))
        return True
    return False


async def _placing(recorder: Recorder, authority: AuthorityRegisters, counters: Counters) -> None:
    named: RegistrySnapshot | None = None
    swept = recorder.clock.monotonic() - SWEEP_SECONDS
    retried = anyio.current_time()
    while True:
        found, retry = _Round(), anyio.current_time() - retried >= RETRY_SECONDS
        if retry:
            retried = anyio.current_time()
        try:
            now = recorder.clock.monotonic()
            if now - swept >= SWEEP_SECONDS:
                sweep(authority, counters, recorder.entropy)
                swept, current = now, authority.registry.current
                if named is not current and await anyio.to_thread.run_sync(name_rules, recorder, current):
                    named = current
            await _place(recorder, authority, counters, found, retry=retry)
        except AnswerableError as error:
            found.failed = found.failed or error
        if found.failed is not None and retry:
            _log.warning(
                "what stop rules tripped holds in this process alone for now: %s", found.failed.message
            )
        await counters.stop_rules.to_place.heard(seconds_max=SWEEP_SECONDS)


async def _writing(
    recorder: Recorder,
    authority: AuthorityRegisters,
    live: LiveAccess,
    counters: Counters,
    workloads: Workloads | None,
    per_second_max: int,
) -> None:
    said = recorder.clock.monotonic() - SAID_SECONDS
    second = retried = anyio.current_time()
    left = per_second_max
    while True:
        found, retry = _Round(), anyio.current_time() - retried >= RETRY_SECONDS
        if retry:
            retried = anyio.current_time()
        await _write(recorder, authority, live, counters, workloads, found, count_max=left, retry=retry)
        left -= found.done
        if found.failed is not None and retry:
            _log.warning(
                "what stop rules tripped is not wholly carried out and written down: %s", found.failed.message
            )
        now = recorder.clock.monotonic()
        waiting = len(counters.stop_rules.placed) + len(counters.stop_rules.said)
        if (waiting or counters.stop_rules.unsaid) and now - said >= SAID_SECONDS:
            _say_waiting(counters.stop_rules, waiting, per_second_max)
            said = now
        more = counters.stop_rules.placed.due + counters.stop_rules.said.due
        rest = RETRY_SECONDS if waiting or counters.stop_rules.unsaid else SAID_SECONDS
        await counters.stop_rules.to_write.heard(seconds_max=TURN_SECONDS if more else rest)
        if anyio.current_time() - second >= 1:
            second, left = anyio.current_time(), per_second_max


@dataclass(slots=True)
class _Round:
    """Result of a round. `done`: trips carried out and recorded. `failed`: the first failure."""

    done: int = 0
    failures: int = 0
    failed: AnswerableError | None = None


async def _place(
    recorder: Recorder, authority: AuthorityRegisters, counters: Counters, found: _Round, *, retry: bool
) -> None:
    """Put tripped holds into force in every process. After a crash here each hold names its rule."""

    async def held(trip: RuleTrigger) -> None:
        await _held_everywhere(recorder, authority, counters, trip)

    queue = counters.stop_rules.held
    if retry:
        queue.retry()
    await _each(queue, held, found, count_max=len(queue))


async def _write(
    recorder: Recorder,
    authority: AuthorityRegisters,
    live: LiveAccess,
    counters: Counters,
    workloads: Workloads | None,
    found: _Round,
    *,
    count_max: int,
    retry: bool,
) -> None:
    """Carry out holds and record their rule and reason; then record warnings and dry runs."""

    async def carried_out(trip: RuleTrigger) -> None:
        await _carried_out(recorder, authority, live, counters, trip, workloads)

    async def written(trip: RuleTrigger) -> None:
        await _written(recorder, authority, counters.stop_rules, trip, "")

    state = counters.stop_rules
    for queue, ending in ((state.placed, carried_out), (state.said, written)):
        if retry:
            queue.retry()
        found.done += await _each(queue, ending, found, count_max=count_max - found.done)


async def _each(
    queue: TripQueue, end: Callable[[RuleTrigger], Awaitable[None]], found: _Round, *, count_max: int
) -> int:
    """End up to `count_max` trips of a queue. Return how many ended. Failed ones are put aside."""
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


async def _held_everywhere(
    recorder: Recorder, authority: AuthorityRegisters, counters: Counters, trip: RuleTrigger
) -> None:
    state, hold = counters.stop_rules, trip.hold
    if hold is None:
        return
    found = await hold_everywhere(recorder, authority, counters.cuts, hold)
    trip.placed, trip.in_flight = found.hold, found.in_flight
    # The hold is in the shared register now; the rule counts from zero once it is lifted.
    authority.tripped.placed(hold)
    state.history.forget(trip.rule.name, trip.owner, trip.keys)
    state.entries.pop((trip.rule.name, trip.owner), None)
    if len(state.placed) < TRIPS_MAX:
        state.placed.append(trip)
    else:
        # The hold is in force and names its rule; `resume_holds` carries out unrecorded holds.
        state.by_hold.pop(hold.id, None)
        state.unsaid += 1


async def _carried_out(
    recorder: Recorder,
    authority: AuthorityRegisters,
    live: LiveAccess,
    counters: Counters,
    trip: RuleTrigger,
    workloads: Workloads | None,
) -> None:
    if trip.placed is None or trip.hold is None:
        return
    await carry_out(
        recorder, authority, live, counters.cuts, trip.placed, trip.in_flight, workloads=workloads
    )
    await _written(recorder, authority, counters.stop_rules, trip, str(trip.placed.id))
    counters.stop_rules.by_hold.pop(trip.hold.id, None)


async def _written(
    recorder: Recorder, authority: AuthorityRegisters, stop_rules: StopRules, trip: RuleTrigger, hold: str
) -> None:
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
        at=recorder.clock.now(),
        fired=trip.fired,
        since=trip.at,
        owner=trip.owner,
        counted=trip.keys,
        value=trip.value,
        what=trip.what,
        hold=hold,
        entries=await sources_of(recorder, authority, stop_rules, trip),
    )
    _, left = await record_entry(recorder, entry)
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

"""Putting into force everywhere, and on record, what stop rules tripped in this process.

What was tripped holds in this process already. Until it is placed here another process on the same registers goes on,
and a crash forgets it: then the next start finds by what was counted that it was too much (`trip_restored`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

from answerable.core.containment.hold import described
from answerable.core.ledger.records_rules import rule_fired
from answerable.errors import AnswerableError
from answerable.flows.place_hold import put_in_force
from answerable.flows.record_entry import record_entry
from answerable.flows.trip_rules import sweep

if TYPE_CHECKING:
    from answerable.flows.stop_rules import StopRules, Trip
    from answerable.flows.walk import Walk
    from answerable.flows.workloads import Workloads

PLACED_PER_SECOND_MAX: Final = 50
"""Each of them writes to the register and to the log, and ends instances: the walk goes on beside it."""
POLL_SECONDS: Final = 0.02
SWEEP_SECONDS: Final = 0.5
SAID_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 0.5

_SAID: Final = {"held": "holds", "would_hold": "would hold", "warned": "is about to hold"}
_log: Final = logging.getLogger(__name__)


async def follow_rules(
    walk: Walk,
    workloads: Workloads | None = None,
    *,
    poll_seconds: float = POLL_SECONDS,
    per_second_max: int = PLACED_PER_SECOND_MAX,
) -> None:
    """For ever: place what was tripped, so many a second at most, and hold what is still too much after its grace."""
    swept = said = walk.clock.monotonic() - SAID_SECONDS
    while True:
        try:
            now = walk.clock.monotonic()
            if now - swept >= SWEEP_SECONDS:
                sweep(walk)
                swept = now
            done = await place_tripped(walk, workloads, count_max=per_second_max)
        except AnswerableError as error:
            _log.warning("what stop rules tripped holds in this process alone for now: %s", error.message)
            await anyio.sleep(RETRY_SECONDS)
            continue
        waiting = len(walk.stop_rules.trips)
        if waiting and now - said >= SAID_SECONDS:
            _say_waiting(walk.stop_rules, waiting, per_second_max)
            said = now
        await anyio.sleep(1.0 if done >= per_second_max else poll_seconds)


async def place_tripped(walk: Walk, workloads: Workloads | None = None, *, count_max: int = 1_000) -> int:
    """Place and write down what stop rules tripped, the oldest first; returns how much it was.

    Raises Unavailable: what was not done is done when this is called again.
    """
    state, done = walk.stop_rules, 0
    while state.trips and done < count_max:
        trip = state.trips[0]
        hold = ""
        if trip.hold is not None:
            # 1. In force in every process; on record with what it came too late for.
            placed = await put_in_force(walk, trip.hold, workloads=workloads)
            # 2. No more a matter of this process alone, and counted anew once it is lifted.
            walk.tripped.placed(trip.hold)
            state.history.forget(trip.rule.name, trip.owner, trip.keys)
            state.entries.pop((trip.rule.name, trip.owner), None)
            hold = str(placed.hold.id)
        # 3. On record which rule it was, and why. A crash before this line: the hold itself says by which rule.
        await _record(walk, trip, hold)
        state.trips.popleft()
        if trip.hold is not None:
            state.by_hold.pop(trip.hold.id, None)
        done += 1
    return done


async def _record(walk: Walk, trip: Trip, hold: str) -> None:
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
    _log.warning(
        "%d more firings of stop rules wait to be placed and written down, %d a second: what they hold holds in this "
        "process meanwhile",
        waiting,
        per_second_max,
    )
    if state.unsaid:
        _log.warning("%d warnings and dry runs of stop rules were not written down: too many", state.unsaid)
        state.unsaid = 0

"""Name the entries behind a stop rule's number, those that an earlier process counted included: a process that starts
with stored counts knows their numbers and not their entries, and reads these from the log once a rule fires."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from answerable.core.containment.stop_rule_signal import events_of, tracker_of
from answerable.core.decision.history import History
from answerable.core.decision.tally import PIECES
from answerable.errors import AnswerableError
from answerable.flows.counters.recall_rules import RETRY, RuleReader, not_started
from answerable.flows.recording.paced_reading import begins_at, in_turns
from answerable.flows.state.stop_rules import ENTRIES_NAMED_MAX

if TYPE_CHECKING:
    from answerable.flows.state.parts import AuthorityRegisters, Recorder
    from answerable.flows.state.stop_rules import RuleTrigger, StopRules

LOOKED_BACK_MAX: Final = 20_000
"""Entries from before the start that are searched for one rule that fired."""
SECONDS_MAX: Final = 30.0


async def sources_of(
    recorder: Recorder, authority: AuthorityRegisters, stop_rules: StopRules, trip: RuleTrigger
) -> list[int]:
    """Return the entries behind the number, the newest last and at most ENTRIES_NAMED_MAX. Never raises: what cannot be
    read is not named."""
    start = stop_rules.named_from.get(trip.rule.name, 0)
    room = min(trip.value, ENTRIES_NAMED_MAX) - len(trip.entries)
    if not start or room <= 0:
        return trip.entries
    with suppress(AnswerableError):
        return [*await _before(recorder, authority, trip, start, room), *trip.entries]
    return trip.entries


async def _before(
    recorder: Recorder, authority: AuthorityRegisters, trip: RuleTrigger, end: int, count: int
) -> deque[int]:
    """Return the last `count` entries below `end` that this rule counts for this owner and these keys."""
    rule, found = trip.rule, deque[int](maxlen=count)
    tracker = tracker_of(rule)
    if tracker is None:
        return found
    within_ms = tracker.within_seconds * 1000
    since = trip.at - within_ms - within_ms // PIECES if within_ms else 0
    start = max(begins_at(recorder.ledger, max(0, since)), end - LOOKED_BACK_MAX)
    reader = RuleReader(recorder, authority, History(), [rule])
    async for stored in in_turns(
        recorder.ledger, recorder.clock, start, recorder.clock.monotonic() + SECONDS_MAX
    ):
        if stored.index >= end:
            break
        reset, intent = reader.reset_by(stored), not_started(stored)
        if reset is not None and reset[:2] == (rule.name, trip.owner):
            found.clear()
        if intent is not None and intent in found and rule.watches == RETRY:
            found.remove(intent)
        signal = reader.told(stored)
        if signal is not None and signal.at >= since:
            counted = ((one.agent, one.resource) for one in events_of(rule, signal))
            if any(owner == trip.owner and key in trip.keys for owner, key in counted):
                found.append(stored.index)
    return found

"""Recompute from the log, entry by entry, the numbers that stop rules watch, for a trial of one rule.

Actions that the rule would have held are not counted, because they would not have happened.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from answerable.core.action.quota import RefusalQuota
from answerable.core.containment.stop_rule_signal import (
    NO_KEY,
    StopRuleSignal,
    events_of,
    keys_of,
    owners_of,
    tracked_by,
    tracker_of,
)
from answerable.core.decision.counter import RESOURCES_MAX
from answerable.core.decision.history import History, UnknownHistory
from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.ledger.happened import attempted, whole
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.flows.counters.count_history import fields_of, registered
from answerable.flows.counters.keep_history import HistoryReader, first_entry
from answerable.flows.counters.recall_rules import RETRY, RuleReader, not_started
from answerable.flows.recording.paced_reading import begins_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.registry.documents.policy_parts import Tracker
    from answerable.core.registry.documents.stop_rule import StopRule
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.counters.read_parts import ReadLog, ReadRegisters
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.ledger import Ledger
    from answerable.ports.mandate_register import MandateRegister

BEGUN_MAX: Final = 1_000
"""Counted actions kept until their end is read, which may take them back."""
Place = tuple[str, tuple[str, ...]]
"""Owner, and the keys that are counted separately."""


class RuleNumber(Protocol):
    """The number that one rule watches."""

    def told(self, stored: StoredEntry) -> Sequence[StopRuleSignal]:
        """Return the signals of an entry."""
        ...

    def counted(self, stored: StoredEntry, stop_rule_signal: StopRuleSignal) -> Sequence[Place]:
        """Count the signal; return the places whose number must be checked now."""
        ...

    def passed_over(self, stored: StoredEntry) -> None:
        """Note that the entry's action would have been held and does not count."""
        ...

    def value(self, place: Place, stop_rule_signal: StopRuleSignal, now: int) -> int | None:
        """Return the number now; None where it is no longer known."""
        ...

    def forget(self, place: Place) -> None:
        """Reset the count of a place that was held."""
        ...


def tracker_in(snapshot: RegistrySnapshot, rule: StopRule) -> Tracker | None:
    """Return the declared tracker that a rule watches; None where it counts by itself."""
    if rule.watches != "tracker":
        return None
    return next(one for one in snapshot.parts.trackers if one.name == rule.tracker)


def start_of(
    ledger: Ledger,
    mandates: MandateRegister,
    limits: WalkLimits,
    rule: StopRule,
    declared: Tracker | None,
    since: int,
) -> int:
    """Return the index of the first entry that counts for a rule's number since a time, Unix milliseconds."""
    if declared is not None:
        return first_entry(ledger, mandates, limits, [declared], since)
    tracker = tracker_of(rule)
    back = tracker.within_seconds * 1000 if tracker is not None else limits.refusals_window_ms
    return begins_at(ledger, max(0, since - back))


def number_of(
    recorder: ReadLog,
    authority: ReadRegisters,
    rule: StopRule,
    declared: Tracker | None,
    quota: RefusalQuota,
) -> RuleNumber:
    """Return the number that this rule watches. declared: the tracker that it watches. quota: of refusals."""
    if declared is not None:
        return _TrackerCount(recorder, authority, rule, declared)
    tracker = tracker_of(rule)
    if tracker is not None:
        return _OwnCount(recorder, authority, rule, tracker)
    return _Refusals(recorder, authority, rule, quota)


class _OwnCount:
    """A number that the rule counts itself."""

    def __init__(self, recorder: ReadLog, authority: ReadRegisters, rule: StopRule, tracker: Tracker) -> None:
        self._rule, self._history = rule, History([tracker])
        self._counter = self._history.counters[0]
        self._reader = RuleReader(recorder, authority, self._history, [rule])
        self._begun: dict[int, StoredEntry] = {}

    def told(self, stored: StoredEntry) -> Sequence[StopRuleSignal]:
        intent = not_started(stored)
        if intent is not None and intent in self._begun:
            self._reader.take_back(self._begun.pop(intent))
        stop_rule_signal = self._reader.told(stored)
        return (stop_rule_signal,) if stop_rule_signal is not None else ()

    def counted(self, stored: StoredEntry, stop_rule_signal: StopRuleSignal) -> Sequence[Place]:
        if stored.tag == Tag.INTENT and self._rule.watches == RETRY:
            self._keep(stored)
        events = events_of(self._rule, stop_rule_signal)
        for event in events:
            self._history.happened(event)
        if not events:
            return ()
        keys = keys_of(self._rule, stop_rule_signal)
        return tuple((owner, keys) for owner in owners_of(self._rule, stop_rule_signal))

    def passed_over(self, stored: StoredEntry) -> None:
        self._begun.pop(stored.index, None)

    def _keep(self, intent: StoredEntry) -> None:
        if len(self._begun) >= BEGUN_MAX:
            del self._begun[next(iter(self._begun))]
        self._begun[intent.index] = intent

    def value(self, place: Place, _happening: StopRuleSignal, now: int) -> int | None:
        owner, keys = place
        values = [self._counter.value(owner, "", key, now) for key in keys]
        return sum(one if isinstance(one, int) else RESOURCES_MAX + self._rule.limit for one in values)

    def forget(self, place: Place) -> None:
        self._history.forget(self._rule.name, *place)


class _TrackerCount:
    """A number from a tracker of a policy set, which continues to count after a hold."""

    def __init__(self, recorder: ReadLog, authority: ReadRegisters, rule: StopRule, tracker: Tracker) -> None:
        self._recorder, self._authority, self._rule, self._tracker = recorder, authority, rule, tracker
        self._history = History([tracker])
        self._reader = RuleReader(recorder, authority, self._history, [rule])
        self._fold = HistoryReader(recorder, authority, self._history, authority.registry.current)
        self._not_begun: set[int] = set()

    def told(self, stored: StoredEntry) -> Sequence[StopRuleSignal]:
        stop_rule_signal = self._reader.told(stored)
        if stop_rule_signal is None:
            # The end of an action, or an answer to a question: counted now, and checked at the owner's next signal.
            self._count(stored)
            return ()
        if not self._tracker.same_resource or stored.tag not in (Tag.INTENT, Tag.REFUSAL):
            return (stop_rule_signal,)
        leaf = leaf_of(stored)
        capability = registered(self._authority.registry.current, stop_rule_signal.capability)
        event = attempted("started", leaf, fields_of(self._recorder.subject_keys, stored, leaf), capability)
        return (replace(stop_rule_signal, resource_key=event.resource or ""),)

    def counted(self, stored: StoredEntry, stop_rule_signal: StopRuleSignal) -> Sequence[Place]:
        self._count(stored)
        capability = self._authority.registry.current.capabilities.get(stop_rule_signal.capability)
        key = stop_rule_signal.resource_key if self._tracker.same_resource else NO_KEY
        return tuple(
            (owner, (key,)) for owner in tracked_by(self._rule, self._tracker, stop_rule_signal, capability)
        )

    def passed_over(self, stored: StoredEntry) -> None:
        if stored.tag == Tag.INTENT:
            self._not_begun.add(stored.index)

    def value(self, _place: Place, stop_rule_signal: StopRuleSignal, now: int) -> int | None:
        values = self._history.values(
            agent=stop_rule_signal.agents[0],
            mandate=stop_rule_signal.mandate,
            resource=stop_rule_signal.resource_key,
            now=now,
        )
        return None if isinstance(values, UnknownHistory) else values[self._tracker.name]

    def forget(self, place: Place) -> None:
        return

    def _count(self, stored: StoredEntry) -> None:
        if stored.tag in (Tag.OUTCOME, Tag.INDETERMINATE):
            intent = whole(leaf_of(stored), "intent")
            if intent in self._not_begun:
                self._not_begun.discard(intent)
                return
        self._fold.fold(stored)


class _Refusals:
    """The refusal quota, as now set, and refusals that passed the quota set at their time."""

    def __init__(
        self, recorder: ReadLog, authority: ReadRegisters, rule: StopRule, quota: RefusalQuota
    ) -> None:
        self._quota = quota
        self._reader = RuleReader(recorder, authority, History(), [rule])

    def told(self, stored: StoredEntry) -> Sequence[StopRuleSignal]:
        leaf = leaf_of(stored)
        if stored.tag == Tag.REFUSALS_COUNTED:
            agents, at = leaf.get("agents"), whole(leaf, "at")
            flooding = agents if isinstance(agents, dict) else {}
            return [StopRuleSignal(kind="flooded", at=at, agents=(one,)) for one in sorted(flooding)]
        if stored.tag == Tag.REFUSAL:
            # Every refusal counts, for whatever reason.
            self._quota.take(AgentId(str(leaf.get("agent"))), UnixMillis(whole(leaf, "at")))
        stop_rule_signal = self._reader.told(stored)
        return (stop_rule_signal,) if stop_rule_signal is not None else ()

    def counted(self, _stored: StoredEntry, stop_rule_signal: StopRuleSignal) -> Sequence[Place]:
        return ((stop_rule_signal.agents[0], (NO_KEY,)),)

    def passed_over(self, _stored: StoredEntry) -> None:
        return

    def value(self, place: Place, stop_rule_signal: StopRuleSignal, now: int) -> int | None:
        if stop_rule_signal.kind == "flooded":
            return 1
        return int(self._quota.is_flooding(AgentId(place[0]), UnixMillis(now)))

    def forget(self, place: Place) -> None:
        return

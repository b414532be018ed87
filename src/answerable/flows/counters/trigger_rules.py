"""Evaluate stop rules: count events, and place a hold in this process when a count passes its limit.

All state here is in memory and nothing here waits: no other task runs between the event that passes a limit and the
hold. The hold is in force in this process from then on. A separate task puts it into force in every other process and
records it.

Laws: a rule never allows anything; an attempt that passes a limit whose hold cannot be stored is refused anyway; a
number that may be incomplete counts as past the limit.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from answerable.core.containment.hold import ID_BYTES, Hold, described, hold_id, placed_by
from answerable.core.containment.stop_rule_signal import (
    NO_KEY,
    counts,
    events_of,
    holdable_of,
    keys_of,
    owners_of,
    restored,
    tracked_by,
    tracker_of,
)
from answerable.core.decision.counter import RESOURCES_MAX
from answerable.core.decision.history import History, UnknownHistory
from answerable.core.identity.names.principal import AgentId
from answerable.core.mandate.mandate import MandateId
from answerable.errors import Unavailable
from answerable.errors.codes.containment import STOP_RULE_WAITING
from answerable.flows.state.stop_rules import (
    ENTRIES_NAMED_MAX,
    OWNERS_MAX,
    PASSED_MAX,
    TRIPS_MAX,
    Passed,
    RuleTrigger,
)
from answerable.flows.validity.holds_beside_quota import is_held_by_people_or_rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.containment.stop_rule_signal import StopRuleSignal
    from answerable.core.decision.counter import Counter, Event
    from answerable.core.registry.documents.policy_parts import Tracker
    from answerable.core.registry.documents.stop_rule import StopRule
    from answerable.flows.state.parts import AuthorityRegisters, Counters
    from answerable.flows.state.stop_rules import Place, StopRules
    from answerable.flows.state.triggered_holds import TriggeredHolds
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy
    from answerable.ports.mandate_register import MandateRegister
    from answerable.ports.registry_store import RegistryStore


def rules_now(registry: RegistryStore, stop_rules: StopRules) -> tuple[tuple[StopRule, Counter | None], ...]:
    """Return the rules in force. New rules count from now on; rules put into force by another process are adopted."""
    state, current = stop_rules, registry.current
    if state.snapshot is not current:
        rules = [current.stop_rules[name] for name in sorted(current.stop_rules)]
        trackers = [one for one in map(tracker_of, rules) if one is not None]
        state.history.adopt(trackers, History(state.history.missing(trackers)))
        counters = {one.name: one for one in state.history.counters}
        state.rules = tuple((rule, counters.get(rule.name)) for rule in rules)
        state.snapshot = current
        names = {rule.name for rule in rules}
        state.passed = {place: one for place, one in state.passed.items() if place[0] in names}
    return state.rules


def look(
    authority: AuthorityRegisters,
    counters: Counters,
    entropy: Entropy,
    stop_rule_signal: StopRuleSignal,
    *,
    attempt: bool = False,
) -> bool:
    """Trip every rule whose limit this signal passes. Return whether a new hold is in force.

    attempt: the signal is about to happen, and counts. Raises Refused (`stop_rule.waiting`) where an attempt passes a
    limit and no hold can be stored.
    """
    tripped = False
    for rule, counter in rules_now(authority.registry, counters.stop_rules):
        ahead = 1 if attempt and counts(rule, stop_rule_signal) else 0
        keys = keys_of(rule, stop_rule_signal) or (NO_KEY,)
        for owner in _owners(authority.registry, counters.history, rule, stop_rule_signal):
            value = _value(counters, authority.clock, rule, counter, stop_rule_signal, owner, keys)
            if value is None:
                continue
            if value + ahead <= rule.limit:
                if counters.stop_rules.passed:
                    counters.stop_rules.passed.pop(
                        _place(counters.history, rule, owner, keys, stop_rule_signal), None
                    )
                continue
            tripped |= _passed(
                authority,
                counters,
                entropy,
                rule,
                owner,
                keys,
                value + ahead,
                stop_rule_signal,
                attempt=attempt,
            )
    return tripped


def count(
    authority: AuthorityRegisters,
    counters: Counters,
    entropy: Entropy,
    stop_rule_signal: StopRuleSignal,
    *,
    index: int | None,
) -> None:
    """Count a signal that has happened, recorded at this place in the log or at none, and trip the rules whose limit it
    passes."""
    state = counters.stop_rules
    for rule, _ in rules_now(authority.registry, counters.stop_rules):
        for event in events_of(rule, stop_rule_signal):
            state.history.happened(event)
            if index is not None:
                name_source(state, rule.name, event.agent, index)
    noted(counters.stop_rules, index)
    look(authority, counters, entropy, stop_rule_signal)


def name_entry(
    registry: RegistryStore, stop_rules: StopRules, stop_rule_signal: StopRuleSignal, index: int
) -> None:
    """Name the entry of a signal that was counted before it had one."""
    for rule, _ in rules_now(registry, stop_rules):
        for event in events_of(rule, stop_rule_signal):
            name_source(stop_rules, rule.name, event.agent, index)


def noted(stop_rules: StopRules, index: int | None) -> None:
    """Note the place in the log of an entry that is counted already or not at all."""
    if index is not None:
        stop_rules.history.placed(None, index)


def begin(
    authority: AuthorityRegisters, counters: Counters, entropy: Entropy, stop_rule_signal: StopRuleSignal
) -> list[Event]:
    """Count a signal whose entry has no place yet, until it is withdrawn. Return the counted events."""
    begun = [
        event
        for rule, _ in rules_now(authority.registry, counters.stop_rules)
        for event in events_of(rule, stop_rule_signal)
    ]
    for event in begun:
        counters.stop_rules.history.begin(event)
    look(authority, counters, entropy, stop_rule_signal)
    return begun


def withdraw(stop_rules: StopRules, begun: Sequence[Event]) -> None:
    """Withdraw events that have their place now or get none."""
    for event in begun:
        stop_rules.history.withdraw(event)


def forget_counted(registry: RegistryStore, counters: Counters, rule: str, owner: str) -> None:
    """Forget what a rule counted of this owner, after its hold was lifted: it no longer trips the rule."""
    state = counters.stop_rules
    state.history.forget_owner(rule, owner)
    state.entries.pop((rule, owner), None)
    state.passed = {place: one for place, one in state.passed.items() if place[:2] != (rule, owner)}
    if any(
        one.name == rule and one.watches == "refusal_flood"
        for one, _ in rules_now(registry, counters.stop_rules)
    ):
        counters.quota.forget(AgentId(owner))


def sweep(authority: AuthorityRegisters, counters: Counters, entropy: Entropy) -> None:
    """Check limits that were passed: hold those still passed after their grace period, and forget the others."""
    state = counters.stop_rules
    rules = {
        rule.name: (rule, counter) for rule, counter in rules_now(authority.registry, counters.stop_rules)
    }
    for place, passed in list(state.passed.items()):
        name, owner, _ = place
        rule, counter = rules[name]
        keys = passed.keys
        value = _value(counters, authority.clock, rule, counter, passed.stop_rule_signal, owner, keys)
        if value is None:
            continue
        if value <= rule.limit:
            state.passed.pop(place, None)
        else:
            _passed(authority, counters, entropy, rule, owner, keys, value, passed.stop_rule_signal)


def trip_restored(authority: AuthorityRegisters, counters: Counters, entropy: Entropy) -> int:
    """At a start, place holds for passed limits that had none when the process ended. Return how many holds that
    placed."""
    before = len(counters.stop_rules.by_hold)
    for rule, counter in rules_now(authority.registry, counters.stop_rules):
        for owner, key, _ in list(counter.all()) if counter is not None else ():
            agent = _agent_of(authority.mandates, rule, owner)
            stop_rule_signal = restored(rule, owner, key, agent=agent, at=authority.clock.now())
            if counter is None or stop_rule_signal is None:
                continue
            value = _value(counters, authority.clock, rule, counter, stop_rule_signal, owner, (key,))
            if value is not None and value > rule.limit:
                _passed(authority, counters, entropy, rule, owner, (key,), value, stop_rule_signal)
    return len(counters.stop_rules.by_hold) - before


def _agent_of(mandates: MandateRegister, rule: StopRule, owner: str) -> str:
    if rule.over == "agent":
        return owner
    if rule.over == "instance":
        return ""
    mandate = mandates.find(MandateId(owner))
    return mandate.agent if mandate is not None else ""


def _owners(
    registry: RegistryStore, history: History, rule: StopRule, stop_rule_signal: StopRuleSignal
) -> tuple[str, ...]:
    if rule.watches != "tracker":
        return owners_of(rule, stop_rule_signal)
    tracker = _tracker_in_force(history, rule)
    if tracker is None:
        return ()
    capability = registry.current.capabilities.get(stop_rule_signal.capability)
    return tracked_by(rule, tracker, stop_rule_signal, capability)


def _tracker_in_force(history: History, rule: StopRule) -> Tracker | None:
    return next((one for one in history.trackers if one.name == rule.tracker), None)


def _value(
    counters: Counters,
    clock: Clock,
    rule: StopRule,
    counter: Counter | None,
    stop_rule_signal: StopRuleSignal,
    owner: str,
    keys: Sequence[str],
) -> int | None:
    """Return the rule's number. None where a tracker's value is unknown: then the walk refuses, and a passed limit
    stays passed."""
    now = clock.now()
    if rule.watches == "refusal_flood":
        return int(counters.quota.is_flooding(AgentId(owner), now))
    if counter is None:
        values = counters.history.values(
            agent=stop_rule_signal.agents[0],
            mandate=stop_rule_signal.mandate,
            resource=stop_rule_signal.resource_key,
            now=now,
        )
        return None if isinstance(values, UnknownHistory) else values.get(rule.tracker, 0)
    total = 0
    for key in keys:
        value = counter.value(owner, "", key, now)
        total += value if isinstance(value, int) else RESOURCES_MAX + rule.limit
    return total


def _passed(
    authority: AuthorityRegisters,
    counters: Counters,
    entropy: Entropy,
    rule: StopRule,
    owner: str,
    keys: tuple[str, ...],
    value: int,
    stop_rule_signal: StopRuleSignal,
    *,
    attempt: bool = False,
) -> bool:
    """Handle a passed limit. Return whether a new hold is in force."""
    what, now = holdable_of(rule, stop_rule_signal, owner), authority.clock.now()
    try:
        # It is held already, by whichever rule or person; the next signal checks it again.
        if authority.tripped.is_tripped(what, now) or is_held_by_people_or_rule(authority.holds, what, now):
            return False
    except Unavailable:
        # The event is in the log, so nothing may fail now. Where holds cannot be read, hold once.
        pass
    trip = RuleTrigger(
        rule=rule,
        fired="held",
        owner=owner,
        keys=keys,
        value=value,
        what=what,
        at=now,
        entries=[*counters.stop_rules.entries.get((rule.name, owner), ())],
        of_attempt=attempt,
    )
    return _is_due(counters, authority.clock, trip, stop_rule_signal) and _held(
        authority.tripped, counters, entropy, trip, stop_rule_signal
    )


def _place(
    history: History, rule: StopRule, owner: str, keys: tuple[str, ...], stop_rule_signal: StopRuleSignal
) -> Place:
    """Return the key of a passed limit in memory. It has only what the number is counted by, so that nothing else
    clears it."""
    tracker = _tracker_in_force(history, rule) if rule.watches == "tracker" else None
    is_of_resource = tracker is not None and tracker.same_resource
    return (rule.name, owner, stop_rule_signal.resource_key if is_of_resource else keys[0])


def _is_due(counters: Counters, clock: Clock, trip: RuleTrigger, stop_rule_signal: StopRuleSignal) -> bool:
    """Whether to place the hold now: not within the grace period, and not in a dry run. Both are reported once."""
    rule, state = trip.rule, counters.stop_rules
    if not rule.grace_seconds and not rule.dry_run:
        return True
    now, place = clock.monotonic(), _place(counters.history, rule, trip.owner, trip.keys, stop_rule_signal)
    passed = state.passed.get(place)
    if passed is None:
        if len(state.passed) >= PASSED_MAX:
            return not rule.dry_run
        passed = state.passed[place] = Passed(since=now, stop_rule_signal=stop_rule_signal, keys=trip.keys)
        if rule.grace_seconds:
            _say(state, replace(trip, fired="warned"))
    if now - passed.since < rule.grace_seconds:
        return False
    if rule.dry_run and not passed.is_said:
        passed.is_said = True
        _say(state, replace(trip, fired="would_hold"))
    return not rule.dry_run


def _held(
    tripped: TriggeredHolds,
    counters: Counters,
    entropy: Entropy,
    trip: RuleTrigger,
    stop_rule_signal: StopRuleSignal,
) -> bool:
    rule, state = trip.rule, counters.stop_rules
    trip.hold = Hold(
        id=hold_id(entropy.bytes(ID_BYTES)),
        what=trip.what,
        at=trip.at,
        by=placed_by(rule.name),
        reason=f"{rule.watches} of {rule.over} is {trip.value}, more than {rule.limit}",
        expires_at=trip.at + rule.expires_seconds * 1000 if rule.expires_seconds else 0,
        source="rule",
        rule=rule.name,
    )
    if not tripped.trip(trip.hold):
        if trip.of_attempt:
            raise STOP_RULE_WAITING(
                f"a stop rule holds {described(trip.what)}, and too many holds are waiting to be placed: "
                "ask the operator"
            )
        return False
    state.passed.pop(_place(counters.history, rule, trip.owner, trip.keys, stop_rule_signal), None)
    state.by_hold[trip.hold.id] = trip
    state.held.append(trip)
    return True


def _say(state: StopRules, trip: RuleTrigger) -> None:
    """Queue a report of a trip that holds nothing. Past TRIPS_MAX, count it only."""
    if len(state.said) >= TRIPS_MAX:
        state.unsaid += 1
        return
    state.said.append(replace(trip, entries=[*trip.entries], of_attempt=False))


def name_source(state: StopRules, rule: str, owner: str, index: int) -> None:
    """Name an entry as one that the rule's number of this owner comes from."""
    place = (rule, owner)
    found = state.entries.get(place)
    if found is None:
        if len(state.entries) >= OWNERS_MAX:
            del state.entries[next(iter(state.entries))]
        found = state.entries[place] = deque(maxlen=ENTRIES_NAMED_MAX)
    if not found or found[-1] != index:
        found.append(index)


def unname_source(state: StopRules, rule: str, owner: str, index: int) -> None:
    """Name an entry no longer: its event was taken back."""
    found = state.entries.get((rule, owner))
    if found is not None and index in found:
        found.remove(index)

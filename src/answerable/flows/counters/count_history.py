"""Count events for the trackers of the policy sets in force, and return the counted values.

An action counts as `started` from its decision on, without an await in between, so that a thousand concurrent actions
do not pass a limit of one: its intent gets its place in the log at once, or the action counts while it waits for one.
Every other event counts when its entry gets its place in the log, before any other task runs. A decision that depends
on the event therefore follows it in the log.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec

from answerable.core.decision.counter import Event, resource_key
from answerable.core.decision.history import UnknownHistory
from answerable.core.ledger.happened import attempted, nature_of, resource_in
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.registry.documents.pointing import named_arguments
from answerable.errors import Malformed, Unavailable
from answerable.errors.codes.policy import FACTS_UNKNOWN
from answerable.flows.counters.trigger_rules import begin, count, rules_now, withdraw
from answerable.flows.counters.watch_rules import signal_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.action.outcome import Outcome
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.approval.approval import Approval
    from answerable.core.canonical import JSONValue
    from answerable.core.containment.stop_rule_signal import StopRuleSignal
    from answerable.core.decision.history import History
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.subject_key import SubjectKey
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.policy_parts import EventKind
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.counters.read_parts import ReadDocuments, ReadKeys, ReadLog
    from answerable.flows.state.parts import AuthorityRegisters, Counters, Recorder
    from answerable.ports.registry_store import RegistryStore

_ENDS: Final[Mapping[str, EventKind]] = {
    "succeeded": "succeeded",
    "failed": "failed",
    "indeterminate": "failed",
}
"""Event by outcome status. An action that was not started neither succeeded nor failed."""
_NONE: Final[Mapping[str, int]] = MappingProxyType({})


def history_of(history: History, verified: VerifiedRequest, now: UnixMillis) -> Mapping[str, int]:
    """Return the value of every tracker for this action. Raises Refused (`facts.unknown`) when a value is unknown."""
    if not history.counters:
        return _NONE
    values = history.values(
        agent=verified.caller.agent,
        mandate=verified.mandate.id,
        resource=resource_key(verified.resolved.capability.resource.type, verified.resource_id),
        now=now,
    )
    if isinstance(values, UnknownHistory):
        raise FACTS_UNKNOWN(values.text())
    return values


class Starting(msgspec.Struct, kw_only=True):
    """One action that starts. It counts from its place in the log on, and already while it waits for a place.

    begun, for_rules: its events while it waits. happening: its signal for stop rules; None where there are no rules.
    """

    recorder: Recorder
    authority: AuthorityRegisters
    counters: Counters
    verified: VerifiedRequest
    at: UnixMillis
    begun: Event | None = None
    for_rules: list[Event] = []
    happening: StopRuleSignal | None = None

    def prepare(self) -> None:
        """Prepare the signal for stop rules before anything is written, because it may be unavailable. Raises
        Unavailable."""
        registry, stop_rules = self.authority.registry, self.counters.stop_rules
        unruled = stop_rules.snapshot is registry.current and not stop_rules.rules
        if not unruled and rules_now(registry, stop_rules):
            self.happening = signal_of(self.recorder, registry, stop_rules, self.verified, self.at)

    def waits(self) -> None:
        """Count the action, which has no place yet. Nothing else has run since the decision."""
        if self.counters.history.is_counting:
            self.begun = self._event()
            self.counters.history.begin(self.begun)
        if self.happening is not None:
            self.for_rules = begin(self.authority, self.counters, self.recorder.entropy, self.happening)

    def placed(self, index: int) -> None:
        """Count the action at the place of its intent in the log."""
        history, event = self.counters.history, self.begun
        if event is None and history.is_counting:
            event = self._event()
        history.placed(event, index)
        if self.happening is not None:
            withdraw(self.counters.stop_rules, self.for_rules)
            count(self.authority, self.counters, self.recorder.entropy, self.happening, index=index)

    def withdraw(self) -> None:
        """Remove the action from the counts: no intent is recorded for it."""
        if self.begun is not None:
            self.counters.history.withdraw(self.begun)
        withdraw(self.counters.stop_rules, self.for_rules)

    def _event(self) -> Event:
        return _attempt("started", self.verified, self.at)


def count_ended(
    history: History, of: VerifiedRequest | Event | None, outcome: Outcome, *, at: UnixMillis, index: int
) -> None:
    """Count the end of an intent at its place in the log. of: the action or the `started` event of the intent."""
    event = None
    if history.is_counting and of is not None and (kind := _ENDS.get(outcome.status)) is not None:
        event = (
            msgspec.structs.replace(of, event=kind, at=at)
            if isinstance(of, Event)
            else _attempt(kind, of, at)
        )
    history.placed(event, index)


def count_denied(
    history: History, verified: VerifiedRequest | None, *, at: UnixMillis, index: int | None
) -> None:
    """Count a refusal at its place in the log; index None for a refusal that gets no entry. verified: None if the
    request was refused before its action was known."""
    event = _attempt("denied", verified, at) if verified is not None and history.is_counting else None
    if index is not None:
        history.placed(event, index)
    elif event is not None:
        history.happened(event)


def count_answered(
    registry: RegistryStore, history: History, approval: Approval, *, at: UnixMillis, index: int
) -> None:
    """Count a person's answer at its place in the log. Only an answer that completes the approval is an event."""
    event = None
    if approval.state == "approved" and history.is_counting:
        event = approved(approval, registry.current, at)
    history.placed(event, index)


def approved(approval: Approval, snapshot: RegistrySnapshot, at: UnixMillis) -> Event:
    """Return the event that people approved a deferred action."""
    capability = registered(snapshot, approval.capability)
    action = approval.action.thaw()
    members = action if isinstance(action, dict) else {}
    arguments, target = members.get("arguments"), members.get("target")
    resource = None
    if capability is not None and isinstance(arguments, dict) and isinstance(target, str):
        resource = resource_in(capability, target, arguments)
        arguments = named_arguments(capability.arguments, arguments)
    return Event(
        event="approved",
        at=at,
        agent=approval.agent,
        mandate=approval.mandate,
        capability=approval.capability,
        server=str(members.get("server", "")),
        nature=nature_of(capability) if capability is not None else None,
        resource=resource,
        arguments=arguments if isinstance(arguments, dict) else None,
    )


def registered(snapshot: RegistrySnapshot, capability: str) -> Capability | None:
    """Return a capability by name, active or not."""
    return snapshot.capabilities.get(capability) or snapshot.idle.get(capability)


def started_by(recorder: ReadLog, registry: ReadDocuments, index: int) -> Event | None:
    """Return the `started` event of an intent of an earlier process, from the log. None if the entry is no intent.

    Raises Unavailable.
    """
    try:
        stored = recorder.ledger.entry(index)
    except Malformed:
        return None
    leaf = leaf_of(stored)
    capability = registered(registry.current, str(leaf.get("capability")))
    return attempted("started", leaf, fields_of(recorder.subject_keys, stored, leaf), capability)


def fields_of(
    subject_keys: ReadKeys, stored: StoredEntry, leaf: dict[str, JSONValue]
) -> dict[str, JSONValue] | None:
    """Return the sealed fields of an entry. None where they can no longer be read.

    Raises Unavailable when the key cannot be looked up: fields that can be read later are not lost.
    """
    failure: Unavailable | None = None

    def find(key_id: bytes) -> SubjectKey | None:
        nonlocal failure
        try:
            return subject_keys.find(key_id)
        except Unavailable as failed:
            failure = failed
            raise

    fields = payload_of(stored, leaf, find)
    if failure is not None:
        raise failure
    return fields


def _attempt(event: EventKind, verified: VerifiedRequest, at: UnixMillis) -> Event:
    capability = verified.resolved.capability
    return Event(
        event=event,
        at=at,
        agent=verified.caller.agent,
        mandate=verified.mandate.id,
        capability=capability.name,
        server=capability.server,
        nature=nature_of(capability),
        resource=resource_key(capability.resource.type, verified.resource_id),
        arguments=verified.arguments,
    )

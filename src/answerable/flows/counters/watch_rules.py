"""Signal to stop rules what happens in the walk, in the event-loop turn in which it happens.

An attempt is evaluated after its facts are gathered and before it is decided, so that an attempt that passes a limit is
refused itself. A refusal, an end or a delegation counts when its entry gets its place in the log, or while it waits for
one.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from answerable.core.containment.stop_rule_signal import HELD, TOOL_CODES, StopRuleSignal, instances_of
from answerable.core.decision.counter import resource_key
from answerable.core.ledger.records import action_pseudonym
from answerable.core.ledger.subject import agent_subject, principal_subject
from answerable.core.registry.tools.tool_pin import TOOLS_CALL
from answerable.errors import Unavailable
from answerable.flows.counters.trigger_rules import begin, count, look, noted, rules_now, withdraw
from answerable.flows.recording.record_entry import sealing_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from answerable.core.action.request import ActionRequest, VerifiedRequest
    from answerable.core.canonical import JSONValue
    from answerable.core.containment.stop_rule_signal import HappeningKind
    from answerable.core.decision.counter import Event
    from answerable.core.decision.facts import Facts
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.mandate.delegation_chain import Hop
    from answerable.core.mandate.mandate import Mandate
    from answerable.flows.state.parts import AuthorityRegisters, Counters, Recorder
    from answerable.flows.state.steps import Deciding
    from answerable.flows.state.stop_rules import StopRules
    from answerable.ports.registry_store import RegistryStore

    Gather = Callable[[Recorder, AuthorityRegisters, Deciding, VerifiedRequest], Facts]
    """Gathers the facts for one request (step 3 of the walk)."""


def watched(
    gather: Gather,
    again: Gather,
    recorder: Recorder,
    authority: AuthorityRegisters,
    deciding: Deciding,
    verified: VerifiedRequest,
) -> Facts:
    """Return the facts for an action after every stop rule has evaluated the attempt; a hold that results is among
    them.

    again: gathers the facts after a new hold, ignoring cached ones. Raises Refused as `gather`, `again` and `look` do.
    """
    facts, stop_rules = gather(recorder, authority, deciding, verified), deciding.counters.stop_rules
    # No rule evaluates an action that is held already.
    if not rules_now(authority.registry, stop_rules) or facts.hold is not None:
        return facts
    attempt = signal_of(recorder, authority.registry, stop_rules, verified, facts.at, every_name=True)
    if look(authority, deciding.counters, recorder.entropy, attempt, attempt=True):
        return again(recorder, authority, deciding, verified)
    return facts


class Denying:
    """One refusal being recorded. It counts while it waits for its place in the log, and permanently when it has one or
    gets none."""

    __slots__ = ("_authority", "_begun", "_counters", "_happening", "_hold", "_recorder")

    def __init__(
        self,
        recorder: Recorder,
        authority: AuthorityRegisters,
        counters: Counters,
        request: ActionRequest,
        caller: VerifiedCaller,
        *,
        at: UnixMillis,
        code: str,
        determined_by: Sequence[str],
        mandate: Mandate | None,
        hops: Sequence[Hop],
        verified: VerifiedRequest | None,
    ) -> None:
        self._recorder, self._authority, self._counters = recorder, authority, counters
        self._begun: list[Event] = []
        self._hold = determined_by[1] if code.startswith(HELD) and len(determined_by) > 1 else ""
        self._happening: StopRuleSignal | None = None
        if rules_now(authority.registry, counters.stop_rules):
            self._happening = _denied(
                recorder,
                authority.registry,
                counters.stop_rules,
                request,
                caller,
                at,
                code,
                mandate,
                hops,
                verified,
            )

    def waits(self) -> None:
        """Count the refusal, which has no place yet."""
        if self._happening is not None and self._counts():
            self._begun = begin(self._authority, self._counters, self._recorder.entropy, self._happening)

    def placed(self, index: int | None) -> None:
        """Count the refusal at its place in the log; index None if it gets none."""
        withdraw(self._counters.stop_rules, self._begun)
        self._begun = []
        trip = self._counters.stop_rules.by_hold.get(self._hold) if index is not None else None
        if trip is not None and trip.of_attempt and index is not None:
            # The entry that says that the rule fired is not written yet.
            trip.entries.append(index)
            trip.of_attempt = False
        if self._happening is not None and self._counts():
            count(self._authority, self._counters, self._recorder.entropy, self._happening, index=index)
        else:
            noted(self._counters.stop_rules, index)

    def flooded(self) -> None:
        """Evaluate the rules for a refusal past its agent's quota, which gets no entry."""
        if self._happening is not None:
            look(self._authority, self._counters, self._recorder.entropy, self._happening)

    def _counts(self) -> bool:
        """Whether the refusal counts. A refusal for a hold counts only until other processes see the hold, because a
        crash before that loses the hold."""
        return not self._hold or self._authority.tripped.is_waiting(self._hold)


def count_overrun(
    recorder: Recorder,
    authority: AuthorityRegisters,
    counters: Counters,
    verified: VerifiedRequest,
    *,
    at: UnixMillis,
    index: int,
) -> None:
    """Count an overrun, at the place of its outcome in the log: an action used more than was reserved for it."""
    if rules_now(authority.registry, counters.stop_rules):
        count(
            authority,
            counters,
            recorder.entropy,
            signal_of(recorder, authority.registry, counters.stop_rules, verified, at, kind="overrun"),
            index=index,
        )


def handed_on(givers: Iterable[str], mandate: str, instance: str, *, at: UnixMillis) -> StopRuleSignal:
    """Return the signal of a new hop or sub-agent. givers: agents that delegate, the nearest first. instance: the
    delegating instance."""
    return StopRuleSignal(
        kind="handed_on",
        at=at,
        agents=tuple(dict.fromkeys(givers)),
        mandate=mandate,
        instances=instances_of(instance),
    )


def givers_of(hops: Sequence[Hop]) -> tuple[str, ...]:
    """Return the agents that delegated through these hops, the nearest first."""
    return tuple(hop.agent for hop in reversed(hops[:-1]))


def signal_of(
    recorder: Recorder,
    registry: RegistryStore,
    stop_rules: StopRules,
    verified: VerifiedRequest,
    at: UnixMillis,
    *,
    kind: HappeningKind = "started",
    every_name: bool = False,
) -> StopRuleSignal:
    """Return the signal of an attempt. every_name: include the pseudonym under which its refusal would be recorded."""
    capability, identity = verified.resolved.capability, verified.caller.identity
    subjects = [verified.subject]
    if every_name:
        subjects.append(principal_subject(verified.mandate.principal))
    return StopRuleSignal(
        kind=kind,
        at=at,
        agents=_agents(verified.caller, verified.hops),
        mandate=verified.mandate.id,
        instances=instances_of(identity.instance),
        server=capability.server,
        tool=capability.target if capability.method == TOOLS_CALL else "",
        capability=capability.name,
        drifted=identity.drifted,
        actions=_pseudonyms(recorder, registry, stop_rules, verified.request, subjects)
        if kind == "started"
        else (),
        resource=verified.resource_id,
        resource_key=resource_key(capability.resource.type, verified.resource_id),
        arguments=verified.arguments,
    )


def _denied(
    recorder: Recorder,
    registry: RegistryStore,
    stop_rules: StopRules,
    request: ActionRequest,
    caller: VerifiedCaller,
    at: UnixMillis,
    code: str,
    mandate: Mandate | None,
    hops: Sequence[Hop],
    verified: VerifiedRequest | None,
) -> StopRuleSignal:
    subject = principal_subject(mandate.principal) if mandate is not None else agent_subject(caller.agent)
    # Without the subject's key, the refusal cannot be recorded either.
    actions: tuple[str, ...] = ()
    with suppress(Unavailable):
        actions = _pseudonyms(recorder, registry, stop_rules, request, [subject])
    resolved = registry.index.resolve(request.server, request.method, request.target)
    capability = resolved.capability if resolved is not None else None
    arguments: dict[str, JSONValue] = request.arguments
    return StopRuleSignal(
        kind="denied",
        at=at,
        agents=_agents(caller, hops),
        mandate=mandate.id if mandate is not None else "",
        instances=instances_of(caller.identity.instance),
        # A target that only the caller names, and nobody registered, does not count.
        server=capability.server if capability is not None else "",
        tool=capability.target if capability is not None and capability.method == TOOLS_CALL else "",
        capability=capability.name if capability is not None else "",
        code=code,
        drifted=caller.identity.drifted,
        actions=actions,
        resource=verified.resource_id if verified is not None else "",
        arguments=arguments,
        is_aimed=verified is not None or code in TOOL_CODES,
    )


def _agents(caller: VerifiedCaller, hops: Sequence[Hop]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((caller.agent, *(hop.agent for hop in reversed(hops)))))


def _pseudonyms(
    recorder: Recorder,
    registry: RegistryStore,
    stop_rules: StopRules,
    request: ActionRequest,
    subjects: Sequence[str],
) -> tuple[str, ...]:
    """Return the pseudonyms of the action in entries: the same after a restart, and unreadable to others."""
    if not any(rule.watches == "identical_retry" for rule, _ in rules_now(registry, stop_rules)):
        return ()
    names = (action_pseudonym(request, sealing_for(recorder, one)) for one in dict.fromkeys(subjects))
    return tuple(dict.fromkeys(names))

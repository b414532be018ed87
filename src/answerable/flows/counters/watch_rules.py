"""Telling stop rules what happens in the walk, in the turn in which it happens.

An attempt is looked at after its facts are gathered and before it is decided, so that what is too much is refused
itself. What is refused, ends or is handed on counts when its entry has its place in the log, or while it waits for one.
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
    from answerable.flows.state.walk import Walk


def watched(
    gather: Callable[[Walk, VerifiedRequest], Facts],
    again: Callable[[Walk, VerifiedRequest], Facts],
    walk: Walk,
    verified: VerifiedRequest,
) -> Facts:
    """The facts for an action, once every stop rule has looked at the attempt: the hold that follows is among them.

    again: gathers them where there is one, whatever was known before. Raises Refused as these two and `look` do.
    """
    facts = gather(walk, verified)
    # What stands still is looked at by no rule.
    if not rules_now(walk) or facts.hold is not None:
        return facts
    attempt = _attempt(walk, verified, facts.at, every_name=True)
    return again(walk, verified) if look(walk, attempt, attempt=True) else facts


def started(walk: Walk, verified: VerifiedRequest, *, at: UnixMillis) -> StopRuleSignal | None:
    """What an intent will be for stop rules; None where there are none. Raises Unavailable."""
    return _attempt(walk, verified, at) if rules_now(walk) else None


class Denying:
    """One refusal as it is written down: it counts while it waits for its place, and for good when it has one or gets
    none."""

    __slots__ = ("_begun", "_happening", "_hold", "_walk")

    def __init__(
        self,
        walk: Walk,
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
        self._walk = walk
        self._begun: list[Event] = []
        self._hold = determined_by[1] if code.startswith(HELD) and len(determined_by) > 1 else ""
        self._happening: StopRuleSignal | None = None
        if rules_now(walk):
            self._happening = _denied(walk, request, caller, at, code, mandate, hops, verified)

    def waits(self) -> None:
        """There is no place for it yet."""
        if self._happening is not None and self._counts():
            self._begun = begin(self._walk, self._happening)

    def placed(self, index: int | None) -> None:
        """It has its place in the log, or gets none."""
        walk = self._walk
        withdraw(walk, self._begun)
        self._begun = []
        trip = walk.stop_rules.by_hold.get(self._hold) if index is not None else None
        if trip is not None and trip.of_attempt and index is not None:
            # The entry that says that the rule fired is still to be written.
            trip.entries.append(index)
            trip.of_attempt = False
        if self._happening is not None and self._counts():
            count(walk, self._happening, index=index)
        else:
            noted(walk, index)

    def flooded(self) -> None:
        """It is past the quota of its agent, and gets no entry."""
        if self._happening is not None:
            look(self._walk, self._happening)

    def _counts(self) -> bool:
        """What is refused for a hold counts for nobody, but while nobody else knows of the hold: a crash forgets it."""
        return not self._hold or self._walk.tripped.is_waiting(self._hold)


def count_overrun(walk: Walk, verified: VerifiedRequest, *, at: UnixMillis, index: int) -> None:
    """An action took more than was reserved for it, and its outcome that says so has its place in the log."""
    if rules_now(walk):
        count(walk, _attempt(walk, verified, at, kind="overrun"), index=index)


def handed_on(givers: Iterable[str], mandate: str, instance: str, *, at: UnixMillis) -> StopRuleSignal:
    """A hop or a sub-agent comes to be. givers: agents that hand on, the nearest first. instance: that does."""
    return StopRuleSignal(
        kind="handed_on",
        at=at,
        agents=tuple(dict.fromkeys(givers)),
        mandate=mandate,
        instances=instances_of(instance),
    )


def givers_of(hops: Sequence[Hop]) -> tuple[str, ...]:
    """Who handed on by the last of these hops, the nearest first."""
    return tuple(hop.agent for hop in reversed(hops[:-1]))


def _attempt(
    walk: Walk,
    verified: VerifiedRequest,
    at: UnixMillis,
    *,
    kind: HappeningKind = "started",
    every_name: bool = False,
) -> StopRuleSignal:
    """every_name: also that under which a refusal of it would be written down."""
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
        actions=_pseudonyms(walk, verified.request, subjects) if kind == "started" else (),
        resource=verified.resource_id,
        resource_key=resource_key(capability.resource.type, verified.resource_id),
        arguments=verified.arguments,
    )


def _denied(
    walk: Walk,
    request: ActionRequest,
    caller: VerifiedCaller,
    at: UnixMillis,
    code: str,
    mandate: Mandate | None,
    hops: Sequence[Hop],
    verified: VerifiedRequest | None,
) -> StopRuleSignal:
    subject = principal_subject(mandate.principal) if mandate is not None else agent_subject(caller.agent)
    # What its key cannot be had for cannot be written down either.
    actions: tuple[str, ...] = ()
    with suppress(Unavailable):
        actions = _pseudonyms(walk, request, [subject])
    resolved = walk.registry.index.resolve(request.server, request.method, request.target)
    capability = resolved.capability if resolved is not None else None
    arguments: dict[str, JSONValue] = request.arguments
    return StopRuleSignal(
        kind="denied",
        at=at,
        agents=_agents(caller, hops),
        mandate=mandate.id if mandate is not None else "",
        instances=instances_of(caller.identity.instance),
        # What the caller merely said, and nobody registered, is no target.
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


def _pseudonyms(walk: Walk, request: ActionRequest, subjects: Sequence[str]) -> tuple[str, ...]:
    """What entries say in place of the action: the same after a restart, and nobody's to read."""
    if not any(rule.watches == "identical_retry" for rule, _ in rules_now(walk)):
        return ()
    names = (action_pseudonym(request, sealing_for(walk, one)) for one in dict.fromkeys(subjects))
    return tuple(dict.fromkeys(names))

"""Decide an action: check holds first, then the mandate's own limits, then Cedar policies, then what an approval may
lift."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from answerable.adapters.cedar.engine import fastest_engine
from answerable.adapters.cedar.kept_answers import KeptAnswers
from answerable.adapters.cedar.publishing import published
from answerable.adapters.cedar.slices import SLICES_MAX, Slices
from answerable.core.decision.argument_values import Unmappable, mapped_arguments
from answerable.core.decision.decision import Decision, Reason, weigh
from answerable.core.decision.policy_context import capability_facts, whole_context
from answerable.core.decision.question import question_of
from answerable.core.identity.names.principal import AgentId
from answerable.core.mandate.caveat import Attempt
from answerable.core.mandate.delegation_lineage import hops_shortfall
from answerable.core.mandate.mandate import shortfall
from answerable.core.mandate.session_claims import session_shortfall
from answerable.errors import shown
from answerable.errors.codes.action import ARGUMENTS_UNMAPPABLE
from answerable.errors.codes.policy import FACTS_UNKNOWN_DECISION, POLICY_ERROR, POLICY_REGISTRY_DIFFERS

if TYPE_CHECKING:
    from answerable.adapters.cedar.engine import Engine
    from answerable.adapters.cedar.publishing import CedarPolicySet
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.decision.facts import Facts, HoldFact
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot


class CedarDecisionPoint:
    """Implements `DecisionPoint` for one published policy set. Publishing another set creates another instance, which
    replaces this one as a whole.

    engine: the call into Cedar; default: the fastest that works. slicing: off only for comparison. answers: cache of
    Cedar's answers; a new one by default.
    """

    __slots__ = (
        "_agents",
        "_capabilities",
        "_digest",
        "_idle",
        "_may_list",
        "_parts",
        "_riskier",
        "_set",
        "_slices",
        "_trackers",
    )

    def __init__(
        self,
        policy_set: CedarPolicySet,
        *,
        engine: Engine | None = None,
        slicing: bool = True,
        answers: KeptAnswers | None = None,
    ) -> None:
        self._set = policy_set
        self._digest = policy_set.digest
        self._agents = policy_set.registry.agents
        self._capabilities = policy_set.registry.capabilities
        self._idle = policy_set.registry.idle
        self._parts = policy_set.registry.parts
        self._riskier: dict[str, Capability] = {}
        self._trackers = {tracker.name for tracker in self._parts.trackers}
        self._slices = Slices(
            policy_set,
            engine=engine or fastest_engine(),
            slicing=slicing,
            answers=KeptAnswers() if answers is None else answers,
        )
        self._may_list = lru_cache(maxsize=SLICES_MAX)(self._could_be_allowed)

    @property
    def policy_set(self) -> str:
        return self._digest

    @property
    def policy_statement(self) -> bytes:
        return self._set.statement

    def decide(self, verified: VerifiedRequest, facts: Facts) -> Decision:
        try:
            return self._decided(verified, facts)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as fault:
            # A panic inside the extension is a BaseException. Any failure of the decision is a deny.
            failed = f"the decision failed: {shown(type(fault).__name__)}"
            return self._denied(Reason(source=POLICY_ERROR.id, text=failed))

    def for_registry(self, snapshot: RegistrySnapshot) -> CedarDecisionPoint | None:
        """Publishing reads the policy sets and capabilities of a registry, and nothing else of it."""
        old = self._set.registry
        if (snapshot.capabilities, snapshot.idle, snapshot.policy_sets) != (
            old.capabilities,
            old.idle,
            old.policy_sets,
        ):
            return None
        return CedarDecisionPoint(replace(self._set, registry=snapshot))

    def may_list(self, agent: str, capability: str) -> bool:
        """Whether to list the capability for the agent: False if no permit could match, or an unconditional forbid
        always matches.

        Also answers for inactive capabilities, which lists omit in any case.
        """
        return self._may_list(agent, capability)

    def _decided(self, verified: VerifiedRequest, facts: Facts) -> Decision:
        capability = verified.resolved.capability
        outside = _outside(verified, facts) if facts.hold is None else _held(facts.hold)
        agent = self._agents.get(verified.caller.agent)
        known = self._capabilities.get(capability.name)
        if agent is None or not (known is capability or self._is_known(capability, known)):
            # The policies were validated against a different agent or capability than the acting one.
            differs = "the policy set was published for another registry"
            return self._denied(
                outside or Reason(source=POLICY_REGISTRY_DIFFERS.id, text=differs), held=facts.hold
            )
        arguments = mapped_arguments(capability.arguments, verified.arguments)
        if isinstance(arguments, Unmappable):
            outside = outside or Reason(source=ARGUMENTS_UNMAPPABLE.id, text=arguments.text)
            arguments = {}
        if outside is None and not self._trackers <= facts.history.keys():
            unknown = "what happened before is not known, and the policy set counts it"
            outside = Reason(source=FACTS_UNKNOWN_DECISION.id, text=unknown)
        context = whole_context(
            verified,
            facts,
            agent=agent,
            arguments=arguments,
            capability=capability_facts(capability),
            parts=self._parts,
            scored=outside is None,
        )
        if outside is not None:
            question = question_of(verified, facts, context, agent=agent, rule=outside.source)
            return self._denied(outside, question=question, held=facts.hold)
        found = self._slices.find(agent, capability, verified.resource_id)
        asked = found.request(verified.resource_id, context)
        first, without = self._slices.ask(found, asked)
        return weigh(
            first,
            notes=self._set.notes,
            without=without,
            approval=facts.approval,
            policy_set=self._digest,
            question=question_of(verified, facts, context, agent=agent),
        )

    def _is_known(self, capability: Capability, known: Capability | None) -> bool:
        """Whether it is the capability that the set was validated with, at the same or a raised tier. The result is
        cached for each raised capability."""
        if self._riskier.get(capability.name) is not capability:
            if not _is_or_riskier(capability, known):
                return False
            self._riskier[capability.name] = capability
        return True

    def _denied(self, reason: Reason, *, question: bytes = b"", held: HoldFact | None = None) -> Decision:
        return Decision(
            effect="deny",
            reasons=(reason,),
            # The hold's id leads a reader to the person who placed it and the reason.
            determined_by=(reason.source,) if held is None else (reason.source, held.id),
            policy_set=self._digest,
            question=question,
        )

    def _could_be_allowed(self, agent_name: str, capability_name: str) -> bool:
        agent = self._agents.get(AgentId(agent_name))
        capability = self._capabilities.get(capability_name) or self._idle.get(capability_name)
        if agent is None or capability is None:
            return False
        found = [self._set.policies[number] for number in self._slices.heads_matching(agent, capability)]
        barred = any(
            policy.forbids
            and not policy.conditional
            and not policy.note.liftable
            and policy.head.resource_id is None
            for policy in found
        )
        return not barred and any(not policy.forbids for policy in found)


def _is_or_riskier(capability: Capability, known: Capability | None) -> bool:
    """Whether it is the capability that the set was validated with, at the same tier or at one that a server's hints
    raised."""
    return (
        known is not None and capability.tier >= known.tier and replace(capability, tier=known.tier) == known
    )


def _held(hold: HoldFact) -> Reason:
    return Reason(source=hold.rule, text=hold.text)


def _outside(verified: VerifiedRequest, facts: Facts) -> Reason | None:
    """Return why the mandate, its login session or a hop does not cover the action; None if all of them do."""
    capability = verified.resolved.capability
    attempt = Attempt(
        capability=capability.name,
        environment=capability.environment,
        resource_type=capability.resource.type,
        resource_id=verified.resource_id,
        arguments=verified.arguments,
        kind=capability.kind,
        server=capability.server,
        sensitivity=capability.sensitivity,
        destination_type=capability.destination.type,
        destinations=verified.destinations,
    )
    short = shortfall(
        verified.mandate,
        attempt=attempt,
        state=facts.mandate_state,
        calls_used=facts.mandate_calls_used,
        now=facts.at,
    )
    if short is None and verified.session:
        short = session_shortfall(verified.session, attempt)
    if short is None and verified.hops:
        short = hops_shortfall(verified.hops, attempt)
    return None if short is None else Reason(source=short.code, text=short.text)


def compiled(policies: str, snapshot: RegistrySnapshot) -> CedarDecisionPoint:
    """Implements `PolicyCompiler`. Raises Malformed (`policy.*`), which lists every fault."""
    return CedarDecisionPoint(published(policies, snapshot))

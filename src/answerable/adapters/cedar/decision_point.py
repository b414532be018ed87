"""Decide an action: check holds first, then the mandate's own limits, then Cedar policies, then what an approval may
lift."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from answerable.adapters.cedar.engine import fastest_engine
from answerable.adapters.cedar.publishing import published
from answerable.adapters.cedar.slices import SLICES_MAX, KeptAnswers, Slices
from answerable.core.decision.argument_values import Unmappable, mapped_arguments
from answerable.core.decision.decision import Decision, Reason, weigh
from answerable.core.decision.policy_context import moving_context, shared_context
from answerable.core.decision.question import QuestionForm
from answerable.core.identity.names.principal import AgentId
from answerable.core.mandate.caveat import Attempt
from answerable.core.mandate.delegation_lineage import hops_shortfall
from answerable.core.mandate.mandate import covers_any, ended, shortfall
from answerable.core.mandate.session_claims import session_shortfall
from answerable.errors import shown
from answerable.errors.codes.action import ARGUMENTS_UNMAPPABLE
from answerable.errors.codes.policy import FACTS_UNKNOWN_DECISION, POLICY_ERROR, POLICY_REGISTRY_DIFFERS

if TYPE_CHECKING:
    from answerable.adapters.cedar.engine import Engine
    from answerable.adapters.cedar.publishing import CedarPolicySet
    from answerable.adapters.cedar.slices import Slice
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.decision.facts import Facts, HoldFact
    from answerable.core.decision.policy_context import Context
    from answerable.core.identity.workload.evidence import CallerIdentity
    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.delegation_chain import Hop
    from answerable.core.mandate.mandate import Mandate
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.documents import Agent
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot


SHARED_MAX: Final = 1_024
"""Callers, capabilities and mandates of which is cached what their actions share."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Shared:
    """What all actions of one caller with one capability under one mandate share.

    covered: whether the mandate covers each of them until it ends. last: the slice used last,
    and the beginning of its contexts; replaced as a whole, since other threads may decide, too.
    """

    capability: Capability
    mandate: Mandate
    hops: tuple[Hop, ...]
    session: tuple[Authority, ...]
    identity: CallerIdentity
    agent: Agent
    context: Context
    question: QuestionForm
    covered: bool
    last: tuple[Slice, bytes] | None = None

    def holds_for(self, verified: VerifiedRequest) -> bool:
        """Whether the action is another one of them."""
        identity = verified.caller.identity
        return (
            self.capability is verified.resolved.capability
            and self.mandate is verified.mandate
            and self.hops is verified.hops
            and self.session is verified.session
            and (self.identity is identity or self.identity == identity)
        )


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
        "_set",
        "_shared",
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
        self._shared: dict[tuple[str, str, str], _Shared] = {}
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
        capability, caller = verified.resolved.capability, verified.caller
        shared = self._shared.get((caller.agent, capability.name, verified.mandate.id))
        if shared is None or not shared.holds_for(verified):
            shared = self._shared_by(verified)
        outside = _held(facts.hold) if facts.hold is not None else _outside(verified, facts, shared)
        if shared is None:
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
        context = moving_context(
            shared.context, verified, facts, arguments=arguments, parts=self._parts, scored=outside is None
        )
        if outside is not None:
            question = shared.question.filled(verified, facts, context, rule=outside.source)
            return self._denied(outside, question=question, held=facts.hold)
        found = self._slices.find(shared.agent, capability, verified.resource_id)
        last = shared.last
        if last is None or last[0] is not found:
            last = shared.last = found, found.view.shared_text(shared.context)
        first, without = self._slices.ask(found, verified.resource_id, last[1], context)
        return weigh(
            first,
            notes=self._set.notes,
            without=without,
            approval=facts.approval,
            policy_set=self._digest,
            question=shared.question.filled(verified, facts, context),
        )

    def _shared_by(self, verified: VerifiedRequest) -> _Shared | None:
        """Find anew what actions like this one share, and cache it; None if the policies were not validated with this
        agent and capability."""
        capability = verified.resolved.capability
        agent = self._agents.get(verified.caller.agent)
        if agent is None or not _is_or_riskier(capability, self._capabilities.get(capability.name)):
            return None
        context = shared_context(verified, agent, self._parts)
        shared = _Shared(
            capability=capability,
            mandate=verified.mandate,
            hops=verified.hops,
            session=verified.session,
            identity=verified.caller.identity,
            agent=agent,
            context=context,
            question=QuestionForm(context, capability, agent, self._parts),
            covered=not verified.session
            and not verified.hops
            and covers_any(verified.mandate, _attempt(verified)),
        )
        if len(self._shared) >= SHARED_MAX:
            self._shared.clear()
        self._shared[verified.caller.agent, capability.name, verified.mandate.id] = shared
        return shared

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
    return capability is known or (
        known is not None and capability.tier >= known.tier and replace(capability, tier=known.tier) == known
    )


def _held(hold: HoldFact) -> Reason:
    return Reason(source=hold.rule, text=hold.text)


def _outside(verified: VerifiedRequest, facts: Facts, shared: _Shared | None) -> Reason | None:
    """Return why the mandate, its login session or a hop does not cover the action; None if all of them do."""
    mandate, used, now = verified.mandate, facts.mandate_calls_used, facts.at
    if shared is not None and shared.covered:
        short = ended(mandate, state=facts.mandate_state, calls_used=used, now=now)
    else:
        attempt = _attempt(verified)
        short = shortfall(mandate, attempt=attempt, state=facts.mandate_state, calls_used=used, now=now)
        if short is None and verified.session:
            short = session_shortfall(verified.session, attempt)
        if short is None and verified.hops:
            short = hops_shortfall(verified.hops, attempt)
    return None if short is None else Reason(source=short.code, text=short.text)


def _attempt(verified: VerifiedRequest) -> Attempt:
    capability = verified.resolved.capability
    return Attempt(
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


def compiled(policies: str, snapshot: RegistrySnapshot) -> CedarDecisionPoint:
    """Implements `PolicyCompiler`. Raises Malformed (`policy.*`), which lists every fault."""
    return CedarDecisionPoint(published(policies, snapshot))

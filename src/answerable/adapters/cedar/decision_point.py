"""The decision point: first the mandate's own rule, then Cedar, then what an approval may lift."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from answerable.adapters.cedar.engine import fastest_engine
from answerable.adapters.cedar.publishing import published
from answerable.adapters.cedar.slices import SLICES_MAX, Slices
from answerable.core.decision.decision import Decision, Reason, weigh
from answerable.core.decision.policy_context import Unmappable, mapped_arguments
from answerable.core.identity.principal import AgentId
from answerable.core.mandate.caveat import Attempt
from answerable.core.mandate.lineage import hops_shortfall
from answerable.core.mandate.mandate import shortfall
from answerable.core.mandate.session_claims import session_shortfall
from answerable.errors import shown

if TYPE_CHECKING:
    from answerable.adapters.cedar.engine import Engine
    from answerable.adapters.cedar.publishing import CedarPolicySet
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.decision.facts import Facts
    from answerable.core.registry.snapshot import RegistrySnapshot

CODE_ERROR: Final = "policy.error"
CODE_REGISTRY_DIFFERS: Final = "policy.registry_differs"
CODE_UNMAPPABLE: Final = "arguments.unmappable"


class CedarDecisionPoint:
    """Implements `DecisionPoint` for one published policy set; publishing another makes another, swapped whole.

    engine: the call into Cedar; the fastest that works when not given. slicing: off only to compare with.
    """

    __slots__ = ("_agents", "_capabilities", "_digest", "_idle", "_may_list", "_set", "_slices")

    def __init__(
        self, policy_set: CedarPolicySet, *, engine: Engine | None = None, slicing: bool = True
    ) -> None:
        self._set = policy_set
        self._digest = policy_set.digest
        self._agents = policy_set.registry.agents
        self._capabilities = policy_set.registry.capabilities
        self._idle = policy_set.registry.idle
        self._slices = Slices(policy_set, engine=engine or fastest_engine(), slicing=slicing)
        self._may_list = lru_cache(maxsize=SLICES_MAX)(self._could_be_allowed)

    @property
    def policy_set(self) -> str:
        """As `DecisionPoint.policy_set`."""
        return self._digest

    def decide(self, verified: VerifiedRequest, facts: Facts) -> Decision:
        """As `DecisionPoint.decide`."""
        try:
            return self._decided(verified, facts)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as fault:
            # A panic inside the extension is a BaseException. Whatever it was: an error is a deny.
            return self._denied(CODE_ERROR, f"the decision failed: {shown(type(fault).__name__)}")

    def may_list(self, agent: str, capability: str) -> bool:
        """As `DecisionPoint.may_list`: False when no permit could match, or an unconditional forbid always does.

        Also of a capability that is not active at the moment, which no list shows all the same.
        """
        return self._may_list(agent, capability)

    def _decided(self, verified: VerifiedRequest, facts: Facts) -> Decision:
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
        outside = shortfall(
            verified.mandate,
            attempt=attempt,
            state=facts.mandate_state,
            calls_used=facts.mandate_calls_used,
            now=facts.at,
        )
        if outside is None and verified.session:
            outside = session_shortfall(verified.session, attempt)
        if outside is None and verified.hops:
            outside = hops_shortfall(verified.hops, attempt)
        if outside is not None:
            return self._denied(outside.code, outside.text)
        agent = self._agents.get(verified.caller.agent)
        known = self._capabilities.get(capability.name)
        if agent is None or (known is not capability and known != capability):
            # The policies were checked against another agent or capability than the one that is about to act.
            return self._denied(CODE_REGISTRY_DIFFERS, "the policy set was published for another registry")
        arguments = mapped_arguments(capability.arguments, verified.arguments)
        if isinstance(arguments, Unmappable):
            return self._denied(CODE_UNMAPPABLE, arguments.text)
        found = self._slices.find(agent, capability, verified.resource_id)
        asked = found.request(verified, facts, arguments)
        return weigh(
            found.evaluate(asked),
            notes=self._set.notes,
            without=lambda ids: self._slices.without(found, ids, asked),
            approval=facts.approval,
            policy_set=self._digest,
        )

    def _denied(self, code: str, text: str) -> Decision:
        return Decision(
            effect="deny",
            reasons=(Reason(source=code, text=text),),
            determined_by=(code,),
            policy_set=self._digest,
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


def compiled(policies: str, snapshot: RegistrySnapshot) -> CedarDecisionPoint:
    """Implements `PolicyCompiler`. Raises Malformed (`policy.*`) that names every fault."""
    return CedarDecisionPoint(published(policies, snapshot))

"""Check that an attention check would reach the people on duty and disturb nobody else.

A real question that finds nobody on duty goes to the whole group, so that it is not lost. An attention check is not
worth that. Once sent, it is routed like any other question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.approval.routing import Question, who_is_asked
from answerable.core.identity.names.principal import AgentId
from answerable.core.registry.documents.on_call import quiet_until
from answerable.flows.escalation.route_approval import staff_now
from answerable.flows.validity.mandate_validity import schedule_owner

if TYPE_CHECKING:
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.decision.decision import Decision
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.flows.state.parts import AskingState, AuthorityRegisters
    from answerable.ports.registry_store import RegistryStore


def reaches_duty(
    authority: AuthorityRegisters,
    asking: AskingState,
    verified: VerifiedRequest,
    decision: Decision,
    now: UnixMillis,
) -> bool:
    """Whether every group with a duty that this would ask has enough people on duty now and no quiet hours. True where
    no group has a duty. Raises Unavailable."""
    duties, tier = authority.registry.current.duties, verified.resolved.capability.tier
    asked = [group for wanted in decision.requirements for group in wanted.groups]
    found = [duties[group] for group in asked if group in duties]
    if not found:
        return True
    if any(quiet_until(duty, tier, now) is not None for duty in found):
        return False
    question = Question(
        requirements=decision.requirements,
        tier=tier,
        created_at=now,
        barred=_barred(authority.registry, verified),
    )
    routing = who_is_asked(question, staff_now(authority, asking, now, groups=asked), now)
    # Routing gives a reason only where it departs from the duty: nobody, or too few, on duty.
    return not any(told.why for told in routing.due)


def _barred(registry: RegistryStore, verified: VerifiedRequest) -> frozenset[str]:
    """Return the people whose yes would not count for this question."""
    current, principal = registry.current, verified.mandate.principal
    chain = (verified.caller.agent, *(hop.agent for hop in verified.hops))
    owners = [
        agent.ownership.owner
        for name in chain
        if (agent := current.agents.get(AgentId(str(name)))) is not None
    ]
    return frozenset(one for one in (str(principal), schedule_owner(principal, current), *owners) if one)

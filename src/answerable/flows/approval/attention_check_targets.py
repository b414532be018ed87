"""Whether a question that is a test would reach those who are on duty, and disturb nobody else.

A real question that finds nobody on duty goes to the whole group, for nothing may be lost; a test that does is not
worth it. Asked as it is, whoever is told of it is told by the same routing as of any other.
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
    from answerable.flows.state.walk import Walk


def reaches_duty(walk: Walk, verified: VerifiedRequest, decision: Decision, now: UnixMillis) -> bool:
    """Whether every group with a duty that this would ask has enough people on duty now, and no quiet hours. True
    where no group has a duty. Raises Unavailable."""
    duties, tier = walk.registry.current.duties, verified.resolved.capability.tier
    asked = [group for wanted in decision.requirements for group in wanted.groups]
    found = [duties[group] for group in asked if group in duties]
    if not found:
        return True
    if any(quiet_until(duty, tier, now) is not None for duty in found):
        return False
    question = Question(
        requirements=decision.requirements, tier=tier, created_at=now, barred=_barred(walk, verified)
    )
    routing = who_is_asked(question, staff_now(walk, now, groups=asked), now)
    # Where a duty says nobody, or too few, it says why everybody is told.
    return not any(told.why for told in routing.due)


def _barred(walk: Walk, verified: VerifiedRequest) -> frozenset[str]:
    """Whose yes would not count, as of the question that this would be."""
    current, principal = walk.registry.current, verified.mandate.principal
    chain = (verified.caller.agent, *(hop.agent for hop in verified.hops))
    owners = [
        agent.ownership.owner
        for name in chain
        if (agent := current.agents.get(AgentId(str(name)))) is not None
    ]
    return frozenset(one for one in (str(principal), schedule_owner(principal, current), *owners) if one)

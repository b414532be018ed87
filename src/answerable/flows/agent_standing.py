"""Whether an agent can start anything now, by the same names and reach that each of its actions is judged by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from answerable.core.containment.hold import Holdable
from answerable.core.containment.reach import reach_of
from answerable.core.identity.principal import AgentId
from answerable.flows.refuse_revoked import agent_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.containment.hold import Hold
    from answerable.flows.walk import Walk

Standing = Literal["active", "suspended", "retired", "inactive", "stopped", "revoked"]


def standing_of(walk: Walk, name: str) -> tuple[Standing, str]:
    """How a registered agent stands, and the id of the hold that stops it; empty where none does. A hold on one of its
    instances, mandates or tools stops less than all of it, and is none of these. Raises Unavailable."""
    current = walk.registry.current
    found = current.agents.get(AgentId(name))
    names = agent_names(walk, AgentId(name))
    if walk.revocations.find(names) is not None:
        return "revoked", ""
    hold = walk.holds.find(reach_of(names, current), walk.clock.now())
    if hold is not None:
        return "stopped", hold.id
    return (found.status, "") if found is not None else ("inactive", "")


def holds_of_agent(walk: Walk, name: AgentId) -> Sequence[Hold]:
    """Those in force that stop the agent, or it under one of its keys or mandates, newest first. Raises Unavailable."""
    current, now = walk.registry.current, walk.clock.now()
    found = current.agents.get(name)
    meant = {
        *reach_of(agent_names(walk, name), current),
        *(Holdable("key", key.thumbprint) for key in (found.keys if found is not None else ())),
        *(Holdable("mandate", one.id) for one in walk.mandates.all() if one.agent == name),
    }
    return [one for one in walk.holds.all() if one.is_in_force(now) and one.what in meant]

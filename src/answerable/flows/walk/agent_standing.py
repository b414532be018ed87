"""Report whether a registered agent can start any action now: active, suspended, stopped by a hold, or revoked.

Uses the same names and the same hold reach as the check of each action.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from answerable.core.containment.hold import HoldTarget
from answerable.core.containment.reach import reach_of
from answerable.core.identity.names.principal import AgentId
from answerable.flows.validity.refuse_revoked import agent_names
from answerable.flows.walk.may_act import ways_to_prove

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.containment.hold import Hold
    from answerable.flows.state.parts import AuthorityRegisters

Standing = Literal["active", "suspended", "retired", "inactive", "stopped", "revoked"]


def standing_of(authority: AuthorityRegisters, name: str) -> tuple[Standing, str]:
    """Return the status of a registered agent, and the id of the hold that stops it, or an empty string.

    A hold on only some of its instances, mandates or tools does not count as a stop. A hold or revocation of one key
    counts only if the agent has no other way to prove itself. Raises Unavailable.
    """
    current = authority.registry.current
    found = current.agents.get(AgentId(name))
    names = agent_names(authority, AgentId(name))
    ways = [(*names, *way) for way in ways_to_prove(found)] if found is not None else [names]
    left = [way for way in ways if authority.revocations.find(way) is None]
    if not left:
        return "revoked", ""
    now = authority.clock.now()
    holds = [authority.holds.find(reach_of(way, current), now) for way in left]
    if holds[0] is not None and None not in holds:
        return "stopped", holds[0].id
    if found is not None:
        return found.status, ""
    idle = current.idle_agents.get(AgentId(name))
    return (idle.status if idle is not None and idle.status != "active" else "inactive"), ""


def holds_of_agent(authority: AuthorityRegisters, name: AgentId) -> Sequence[Hold]:
    """Return the holds in force on the agent, on one of its keys or on one of its mandates, newest first.

    Raises Unavailable.
    """
    current, now = authority.registry.current, authority.clock.now()
    found = current.agents.get(name)
    ways = ways_to_prove(found) if found is not None else []
    meant = {
        *reach_of(agent_names(authority, name), current),
        *(HoldTarget("key", one.name) for way in ways for one in way),
        *(HoldTarget("mandate", one.id) for one in authority.mandates.all() if one.agent == name),
    }
    return [one for one in authority.holds.all() if one.is_in_force(now) and one.what in meant]

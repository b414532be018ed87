"""Whether an agent may act at all, and whether who gave it a task may: what does not depend on what is asked.

The walk asks this of each request, and who tells people what could be done asks the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.base64url import to_base64url
from answerable.core.identity.names.principal import AgentId
from answerable.core.mandate.revocation import RevocationTarget
from answerable.errors import Refused, shown
from answerable.errors.codes.action import UPSTREAM_UNKNOWN_REFUSED
from answerable.errors.codes.containment import HELD_AGENT, HELD_MANDATE
from answerable.errors.codes.registry import AGENT_DRIFTED, AGENT_INACTIVE, CAPABILITY_CEILING
from answerable.flows.validity.mandate_validity import giver_fault
from answerable.flows.validity.manifest_standing import standing_manifest
from answerable.flows.validity.observe_tools import tools_fault
from answerable.flows.walk.pin_tools import pin_fault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.action.tool_definition import ToolDefinition
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.mandate.mandate import Mandate
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.documents import Agent
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.state.walk import Walk


def active_agent(walk: Walk, name: AgentId) -> Agent:
    """Its document. Raises Refused (`agent.inactive`)."""
    current = walk.registry.current
    if (fault := inactive_fault(current, name)) is not None:
        raise fault
    return current.agents[name]


def inactive_fault(current: RegistrySnapshot, name: AgentId) -> Refused | None:
    """Why nothing is done for an agent in this registry (`agent.inactive`); None where it is active."""
    agent = current.agents.get(name)
    if agent is None or agent.status != "active":
        return AGENT_INACTIVE(f"agent {shown(name)} is not active")
    return None


def ways_to_prove(agent: Agent) -> list[tuple[RevocationTarget, ...]]:
    """How an active agent may prove itself, each with the names that it then acts under beside its own; without any for
    what no key of the registry is behind."""
    keys = [
        *(key.thumbprint for key in agent.keys),
        *(to_base64url(bytes.fromhex(one)) for one in agent.certificates),
    ]
    ways: list[tuple[RevocationTarget, ...]] = [(RevocationTarget("key", key),) for key in keys]
    return [*ways, ()] if agent.unix_uids or agent.attestation or not keys else ways


def check_tools(walk: Walk, agent: AgentId) -> None:
    """Raises Refused (`agent.drifted`) where the tools offered are others than its manifest says, whoever calls."""
    if fault := tools_fault(walk, agent):
        raise AGENT_DRIFTED(f"{fault}: its owner signs what is offered, or what is signed is offered")


def check_quota(walk: Walk, agent: AgentId, at: UnixMillis, mandate: str = "") -> None:
    """Raises Refused past its quota of refusals, as the hold says that stands for it: `held.agent` for all that it
    does, `held.mandate` for what it does under this mandate."""
    if not walk.quota.is_held(agent, at, mandate):
        return
    why = "agent was refused too often in this window; `answerable hold list` says until when"
    if walk.quota.is_held(agent, at):
        raise HELD_AGENT(f"agent {shown(agent)} is held: the {why}")
    raise HELD_MANDATE(f"mandate {shown(mandate)} is held: its {why}")


def agent_fault(walk: Walk, name: AgentId, at: UnixMillis) -> Refused | None:
    """Why nothing that this agent asks for is done, whichever of its instances asks; None where something may be, as
    far as that is known where no server is connected."""
    try:
        agent = active_agent(walk, name)
        if agent.drift == "refuse":
            standing_manifest(walk, name)
            if walk.upstream.is_running:
                check_tools(walk, name)
        check_quota(walk, name, at)
    except Refused as fault:
        return fault
    return None


def given_fault(
    mandate: Mandate, capability: str, agents: Iterable[str], current: RegistrySnapshot
) -> Refused | None:
    """Why a capability is beyond who gave the mandate (`mandate.beyond_giver`), or beyond one of these agents, whatever
    a mandate says and whoever handed on to them (`capability.ceiling`); None where it is not."""
    fault = giver_fault(mandate, [capability], current)
    if fault is not None:
        return fault
    for name in agents:
        agent = current.agents.get(AgentId(name))
        if agent is None or not agent.reaches(capability):
            return CAPABILITY_CEILING(
                f"{shown(capability)} is beyond what agent {shown(name)} is registered for"
            )
    return None


def offered_definition(walk: Walk, capability: Capability) -> ToolDefinition:
    """What the server says of a capability's tool now, where that is let through. Raises Refused (`upstream.unknown`,
    and as `pin_fault` says), Unavailable."""
    definition = listed_definition(walk, capability)
    if (fault := pin_fault(walk, capability, definition)) is not None:
        raise fault
    return definition


def listed_definition(walk: Walk, capability: Capability) -> ToolDefinition:
    """What the server says of a capability's tool now, let through or not. Raises Refused (`upstream.unknown`)."""
    definition = walk.upstream.definition(capability)
    if definition is None:
        raise UPSTREAM_UNKNOWN_REFUSED(
            f"server {shown(capability.server)} does not offer {shown(capability.target)} right now"
        )
    return definition

"""Checks on the agent and on the giver of its mandate that do not depend on the arguments of a request.

Used for each request, and by the flows that report which actions are possible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.base64url import to_base64url
from answerable.core.identity.names.principal import AgentId
from answerable.core.mandate.revocation import RevocationTarget
from answerable.errors import Refused, Unavailable, shown
from answerable.errors.codes.action import UPSTREAM_UNKNOWN, UPSTREAM_UNKNOWN_REFUSED
from answerable.errors.codes.containment import HELD_AGENT, HELD_MANDATE
from answerable.errors.codes.registry import AGENT_DRIFTED, AGENT_INACTIVE, CAPABILITY_CEILING
from answerable.flows.validity.mandate_validity import giver_fault
from answerable.flows.validity.manifest_standing import standing_manifest
from answerable.flows.validity.observe_tools import tools_fault
from answerable.flows.walk.pin_tools import pin_fault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.action.quota import RefusalQuota
    from answerable.core.action.tool_definition import ToolDefinition
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.mandate.mandate import Mandate
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.documents import Agent
    from answerable.core.registry.manifests.tools_seen import ToolsSeen
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.core.registry.tools.tool_fit import ToolFits
    from answerable.flows.state.parts import AuthorityRegisters
    from answerable.flows.state.policy_desk import PolicyState
    from answerable.flows.state.worlds import Verification
    from answerable.flows.validity.manifest_standing import ManifestSources
    from answerable.flows.validity.refuse_revoked import Ends
    from answerable.flows.walk.pin_tools import Pinning
    from answerable.ports.decision_point import DecisionPoint
    from answerable.ports.parts_in_force import CurrentPins, OfferedTools, Quotas


def active_agent(current: RegistrySnapshot, name: AgentId) -> Agent:
    """Return the agent's document. Raises Refused (`agent.inactive`)."""
    if (fault := inactive_fault(current, name)) is not None:
        raise fault
    return current.agents[name]


def inactive_fault(current: RegistrySnapshot, name: AgentId) -> Refused | None:
    """Return the refusal for an agent that is not active in this registry (`agent.inactive`); None if it is active."""
    agent = current.agents.get(name)
    if agent is None or agent.status != "active":
        return AGENT_INACTIVE(f"agent {shown(name)} is not active")
    return None


def ways_to_prove(agent: Agent) -> list[tuple[RevocationTarget, ...]]:
    """Return the ways an active agent can prove itself, each as the names it then acts under beside the agent's own.

    An empty way means a proof that uses no key of the registry.
    """
    keys = [
        *(key.thumbprint for key in agent.keys),
        *(to_base64url(bytes.fromhex(one)) for one in agent.certificates),
    ]
    ways: list[tuple[RevocationTarget, ...]] = [(RevocationTarget("key", key),) for key in keys]
    return [*ways, ()] if agent.unix_uids or agent.attestation or not keys else ways


def check_tools(
    authority: ManifestSources,
    upstream: OfferedTools,
    tools_seen: ToolsSeen,
    decision_point: DecisionPoint,
    agent: AgentId,
) -> None:
    """Raise Refused (`agent.drifted`) if the tools offered now differ from the agent's manifest."""
    if fault := tools_fault(authority, upstream, tools_seen, decision_point, agent):
        raise AGENT_DRIFTED(
            f"{fault}: offer the tools that the manifest states, or have its owner sign a new manifest"
        )


def check_quota(quota: Quotas, agent: AgentId, at: UnixMillis, mandate: str = "") -> None:
    """Raise Refused if the agent is past its quota of refusals.

    `held.agent`: everything the agent does is held. `held.mandate`: everything under this mandate is held.
    """
    if not quota.is_held(agent, at, mandate):
        return
    why = "too many of its actions were refused: `answerable hold list` shows when this hold ends"
    if quota.is_held(agent, at):
        raise HELD_AGENT(f"agent {shown(agent)} is held: {why}")
    raise HELD_MANDATE(f"mandate {shown(mandate)} is held: {why}")


def agent_fault(
    authority: AuthorityRegisters,
    quota: RefusalQuota,
    verification: Verification,
    policies: PolicyState,
    name: AgentId,
    at: UnixMillis,
) -> Refused | None:
    """Return why nothing that this agent requests is done, for any of its instances; None if something may be done.

    Tools are compared with the manifest only while the upstream is running.
    """
    try:
        agent = active_agent(authority.registry.current, name)
        if agent.drift == "refuse":
            standing_manifest(authority, name)
            if verification.upstream.is_running:
                check_tools(
                    authority,
                    verification.upstream,
                    verification.tools_seen,
                    policies.decision_point,
                    name,
                )
        check_quota(quota, name, at)
    except Refused as fault:
        return fault
    return None


def given_fault(
    mandate: Mandate, capability: str, agents: Iterable[str], current: RegistrySnapshot
) -> Refused | None:
    """Return the refusal for a capability beyond the giver of the mandate (`mandate.beyond_giver`), or beyond the
    registered ceiling of one of `agents` (`capability.ceiling`); None if neither.

    The ceiling holds whatever the mandate or a delegation grants.
    """
    fault = giver_fault(mandate, [capability], current)
    if fault is not None:
        return fault
    for name in agents:
        agent = current.agents.get(AgentId(name))
        if agent is None or not agent.reaches(capability):
            return CAPABILITY_CEILING(f"agent {shown(name)} is not registered for {shown(capability)}")
    return None


def offered_definition(
    authority: Ends,
    upstream: OfferedTools,
    pins: CurrentPins,
    fits: ToolFits,
    capability: Capability,
    pinning: Pinning,
) -> ToolDefinition:
    """Return the definition that the server offers for a capability's tool now, if it is let through.

    Raises Refused (`upstream.unknown`, and as `pin_fault` says), Unavailable.
    """
    definition = listed_definition(upstream, capability)
    if (fault := pin_fault(authority, pins, fits, capability, definition, pinning)) is not None:
        raise fault
    return definition


def require_listed(upstream: OfferedTools, server: str) -> None:
    """Raise Unavailable (`upstream.unknown`) if this process has not read any list of this server since it started."""
    if upstream.tools(server) is None:
        raise _unread(server)


def _unread(server: str) -> Unavailable:
    return UPSTREAM_UNKNOWN(f"what server {shown(server)} offers has not been read yet: try again")


def listed_definition(upstream: OfferedTools, capability: Capability) -> ToolDefinition:
    """Return the definition that the server offers for a capability's tool now, let through or not.

    Raises Refused (`upstream.unknown`), and Unavailable (`upstream.unknown`) while this process has yet to read what
    the server offers: that is no denial of the caller, and counts for no quota and no stop rule.
    """
    definition = upstream.definition(capability)
    if definition is None:
        raise not_offered(upstream, capability)
    return definition


def not_offered(upstream: OfferedTools, capability: Capability) -> Refused | Unavailable:
    """Return the error for a tool of which the server offers no definition now, as `listed_definition` raises it."""
    if upstream.is_unread(capability):
        return _unread(capability.server)
    return UPSTREAM_UNKNOWN_REFUSED(
        f"server {shown(capability.server)} does not offer {shown(capability.target)} right now"
    )

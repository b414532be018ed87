"""Measure the tools that the gateway offers an agent, and compare them with its manifest.

Laws: only definitions that the gateway offers count, not what anybody else claims. An agent's tools follow from the
registry and the policies in force, not from a mandate, so that they do not change with the task. A tool whose
capability is temporarily inactive still counts. Tools that cannot be read do not match; while a server's list has not
been read since this process started, it is not known whether they do.

Measured once for each registry, policy set and generation of the upstreams; for each message it costs a lookup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.registry.manifests.manifest_drift import ObservedTools
from answerable.core.registry.tools.tool_digest import tools_digest
from answerable.errors import Malformed, Refused, shown
from answerable.flows.validity.manifest_standing import ManifestSources, standing_manifest

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import AgentId
    from answerable.core.identity.workload.evidence import Grade
    from answerable.core.registry.manifests.manifest_drift import Verdict
    from answerable.core.registry.manifests.manifest_token import SignedManifest
    from answerable.core.registry.manifests.tools_seen import ToolsSeen
    from answerable.ports.decision_point import DecisionPoint
    from answerable.ports.parts_in_force import OfferedTools

TOOLS_CALL: Final = "tools/call"
TOOLS_FIELD: Final = "tools_digest"
GATEWAY: Final[Grade] = "gateway"


def tools_fault(
    authority: ManifestSources,
    upstream: OfferedTools,
    tools_seen: ToolsSeen,
    decision_point: DecisionPoint,
    agent: AgentId,
) -> str:
    """Return how the tools offered to an agent differ from its manifest; empty if they match, or if its manifest lists
    no tools or is not valid. Does no I/O. Never raises."""
    signed = authority.manifests.current(agent)
    if signed is None or not signed.manifest.tools_digest:
        return ""
    seen = _remembered(authority, upstream, tools_seen, decision_point, agent, signed)
    if not seen.drifted:
        return ""
    if seen.why:
        return f"the tools of agent {shown(agent)} cannot be compared with its manifest: {seen.why}"
    return f"the tools offered to agent {shown(agent)} differ from its manifest"


def unread_server(
    authority: ManifestSources,
    upstream: OfferedTools,
    tools_seen: ToolsSeen,
    decision_point: DecisionPoint,
    agent: AgentId,
) -> str:
    """Return a server whose list this process must read before it can compare the agent's tools with its manifest;
    empty if there is none. Does no I/O. Never raises."""
    signed = authority.manifests.current(agent)
    if signed is None or not signed.manifest.tools_digest:
        return ""
    return _remembered(authority, upstream, tools_seen, decision_point, agent, signed).unread


def tools_verdict(
    authority: ManifestSources,
    upstream: OfferedTools,
    tools_seen: ToolsSeen,
    decision_point: DecisionPoint,
    agent: AgentId,
) -> Verdict:
    """Return how the tools offered to an agent compare with its manifest: `match` also where it lists none,
    `unmeasured` while `unread_server` names one, `differs` also if they cannot be compared. Does no I/O. Never
    raises."""
    if not tools_fault(authority, upstream, tools_seen, decision_point, agent):
        return "match"
    unread = unread_server(authority, upstream, tools_seen, decision_point, agent)
    return "unmeasured" if unread else "differs"


def with_tools(fields: tuple[tuple[str, Grade], ...]) -> tuple[tuple[str, Grade], ...]:
    """Add the tools field, at gateway grade, to the measured fields of an agent."""
    return tuple(sorted({**dict(fields), TOOLS_FIELD: GATEWAY}.items()))


def observed_tools(
    authority: ManifestSources, upstream: OfferedTools, decision_point: DecisionPoint, agent: AgentId
) -> ObservedTools:
    """Measure the tools that the gateway offers an agent now. Does no I/O. Never raises."""
    try:
        signed = standing_manifest(authority, agent)
    except Refused:
        signed = None
    return _observed(
        authority, upstream, decision_point, agent, signed.manifest.tools_digest if signed is not None else ""
    )


def _remembered(
    authority: ManifestSources,
    upstream: OfferedTools,
    tools_seen: ToolsSeen,
    decision_point: DecisionPoint,
    agent: AgentId,
    signed: SignedManifest,
) -> ObservedTools:
    memory, current, generation = tools_seen, authority.registry.current, upstream.generation
    if (
        memory.generation != generation
        or memory.snapshot is not current
        or memory.policies is not decision_point
    ):
        memory.snapshot, memory.policies = current, decision_point
        memory.generation = generation
        memory.by_agent = {}
    known = memory.by_agent.get(agent)
    if known is not None and known[0] is signed:
        return known[1]
    seen = observed_tools(authority, upstream, decision_point, agent)
    memory.by_agent[agent] = (signed, seen)
    return seen


def _observed(
    authority: ManifestSources,
    upstream: OfferedTools,
    decision_point: DecisionPoint,
    agent: AgentId,
    expected: str,
) -> ObservedTools:
    current = authority.registry.current
    listed: dict[str, list[JSONValue]] = {}
    pairs: list[tuple[str, str]] = []
    unseen: set[str] = set()
    for capability in (*current.capabilities.values(), *current.idle.values()):
        server, target = capability.server, capability.target
        if capability.method != TOOLS_CALL or server not in current.servers:
            continue
        if not decision_point.may_list(agent, capability.name):
            continue
        tools = upstream.tools(server)
        if tools is None:
            unseen.add(server)
        elif target in tools:
            listed.setdefault(server, []).append(tools[target])
            pairs.append((server, target))
    unread = min(unseen, default="")
    why = f"server {shown(unread)} has not listed its tools yet" if unread else ""
    digest = ""
    if not why:
        try:
            digest = tools_digest(listed)
        except Malformed as error:
            why = error.message
    return ObservedTools(digest=digest, why=why, tools=tuple(sorted(pairs)), expected=expected, unread=unread)

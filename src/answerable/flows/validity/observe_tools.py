"""Measuring the tools that the gateway offers an agent, by the very definitions that callers are shown.

Laws: what anybody else says about an agent's tools does not count here; which tools are an agent's follows from the
registry and the policies in force, not from a mandate, so that it does not change with the task; a tool whose
capability is not active just now is still one of them; what cannot be seen does not match.

Measured once for each registry, policy set and reading of the upstreams' lists: with a message it costs a look-up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.registry.manifests.manifest_drift import ObservedTools
from answerable.core.registry.tools.tool_digest import tools_digest
from answerable.errors import Malformed, Refused, shown
from answerable.flows.validity.manifest_standing import standing_manifest

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import AgentId
    from answerable.core.identity.workload.evidence import Grade
    from answerable.core.registry.manifests.manifest_token import SignedManifest
    from answerable.flows.state.walk import Walk

TOOLS_CALL: Final = "tools/call"
TOOLS_FIELD: Final = "tools_digest"
GATEWAY: Final[Grade] = "gateway"


def tools_fault(walk: Walk, agent: AgentId) -> str:
    """Why an agent counts as one that differs from its manifest for the tools that it is offered; empty when it does
    not, or its manifest says nothing of tools or does not stand. Without I/O. Never raises."""
    signed = walk.manifests.current(agent)
    if signed is None or not signed.manifest.tools_digest:
        return ""
    seen = _remembered(walk, agent, signed)
    if not seen.drifted:
        return ""
    if seen.why:
        return f"the tools of agent {shown(agent)} cannot be held against its manifest: {seen.why}"
    return f"the tools that agent {shown(agent)} is offered are not those of its manifest"


def with_tools(fields: tuple[tuple[str, Grade], ...]) -> tuple[tuple[str, Grade], ...]:
    """What was measured of an agent, and beside it the tools, which the gateway saw to be those of the manifest."""
    return tuple(sorted({**dict(fields), TOOLS_FIELD: GATEWAY}.items()))


def observed_tools(walk: Walk, agent: AgentId) -> ObservedTools:
    """What the gateway sees now of the tools that it offers an agent. Without I/O. Never raises."""
    try:
        signed = standing_manifest(walk, agent)
    except Refused:
        signed = None
    return _observed(walk, agent, signed.manifest.tools_digest if signed is not None else "")


def _remembered(walk: Walk, agent: AgentId, signed: SignedManifest) -> ObservedTools:
    memory, current, generation = walk.tools_seen, walk.registry.current, walk.upstream.generation
    if (
        memory.generation != generation
        or memory.snapshot is not current
        or memory.decision_point is not walk.decision_point
    ):
        memory.snapshot, memory.decision_point = current, walk.decision_point
        memory.generation = generation
        memory.by_agent = {}
    known = memory.by_agent.get(agent)
    if known is not None and known[0] is signed:
        return known[1]
    seen = observed_tools(walk, agent)
    memory.by_agent[agent] = (signed, seen)
    return seen


def _observed(walk: Walk, agent: AgentId, expected: str) -> ObservedTools:
    current = walk.registry.current
    listed: dict[str, list[JSONValue]] = {}
    pairs: list[tuple[str, str]] = []
    unseen: set[str] = set()
    for capability in (*current.capabilities.values(), *current.idle.values()):
        server, target = capability.server, capability.target
        if capability.method != TOOLS_CALL or server not in current.servers:
            continue
        if not walk.decision_point.may_list(agent, capability.name):
            continue
        tools = walk.upstream.tools(server)
        if tools is None:
            unseen.add(server)
        elif target in tools:
            listed.setdefault(server, []).append(tools[target])
            pairs.append((server, target))
    why = f"server {shown(min(unseen))} has not said yet which tools it has" if unseen else ""
    digest = ""
    if not why:
        try:
            digest = tools_digest(listed)
        except Malformed as error:
            why = error.message
    return ObservedTools(digest=digest, why=why, tools=tuple(sorted(pairs)), expected=expected)

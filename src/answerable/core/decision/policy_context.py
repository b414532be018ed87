"""Build Cedar's `context` for an action: its schema type and its values.

Laws: type and values are made from one table, so that a published policy never meets a shape it was not checked
against; declarations of the policy sets appear under their declared names, and nothing else does.

    context.agent              drifted, environment, grade, instance, manifest, manifest_grade, manifest_kernel,
                               manifest_measured, owner, source, tier: of the acting agent
    context.arguments.<name>   as the capability's argument mappings say
    context.budget             calls_left, left_percent, and what is limited of bytes, money, rows, tokens, wall_ms
    context.capability         environment, kind, owner, reversible, sensitivity, server, tier
    context.chain              agents, depth, person, root: the delegation chain
    context.destination        class, classes, names, type: where the action sends to
    context.history.<name>     as the trackers say
    context.now                Unix milliseconds
    context.proof              how the agent proved its identity
    context.risk               factors, score
    context.task               calls_max, calls_used, expires_at, mandate, principal, purpose, use_case
    context.windows.<name>     whether a named time window is open
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from answerable.core.decision.argument_values import ARGUMENT_TYPES, BOOLEAN, LONG, STRING, STRINGS
from answerable.core.decision.destination_class import classed
from answerable.core.decision.risk import risk_of
from answerable.core.decision.time_windows import windows_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.action.request import VerifiedRequest
    from answerable.core.canonical import JSONValue
    from answerable.core.decision.argument_values import PolicyValue
    from answerable.core.decision.facts import Facts
    from answerable.core.identity.workload.evidence import CallerIdentity
    from answerable.core.mandate.mandate import Mandate
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.documents import Agent
    from answerable.core.registry.documents.policy_parts import PolicyParts

Context: TypeAlias = "dict[str, object]"
"""The whole context of one action, by member."""

TIER_UNSAID: Final = 3
"""Tier of an agent whose tier is not declared: the highest."""

_CAPABILITY_TYPE: Final[dict[str, dict[str, JSONValue]]] = {
    "environment": STRING,
    "kind": STRING,
    "owner": STRING,
    "reversible": BOOLEAN,
    "sensitivity": STRING,
    "server": STRING,
    "tier": LONG,
}
_TASK_TYPE: Final[dict[str, dict[str, JSONValue]]] = {
    "calls_max": LONG,
    "calls_used": LONG,
    "expires_at": LONG,
    "mandate": STRING,
    "principal": STRING,
    "purpose": STRING,
    "use_case": STRING,
}
_AGENT_TYPE: Final[dict[str, dict[str, JSONValue]]] = {
    "drifted": BOOLEAN,
    "environment": STRING,
    "grade": STRING,
    "instance": STRING,
    "manifest": STRING,
    "manifest_grade": STRING,
    "manifest_kernel": STRINGS,
    "manifest_measured": STRINGS,
    "owner": STRING,
    "source": STRING,
    "tier": LONG,
}
_BUDGET_TYPE: Final[dict[str, dict[str, JSONValue]]] = {
    "bytes_left": {**LONG, "required": False},
    "calls_left": LONG,
    "left_percent": LONG,
    "money_left": {**LONG, "required": False},
    "rows_left": {**LONG, "required": False},
    "tokens_left": {**LONG, "required": False},
    "wall_ms_left": {**LONG, "required": False},
}
_CHAIN_TYPE: Final[dict[str, dict[str, JSONValue]]] = {
    "agents": STRINGS,
    "depth": LONG,
    "person": STRING,
    "root": STRING,
}
_DESTINATION_TYPE: Final[dict[str, dict[str, JSONValue]]] = {
    "class": STRING,
    "classes": STRINGS,
    "names": STRINGS,
    "type": STRING,
}
_RISK_TYPE: Final[dict[str, dict[str, JSONValue]]] = {"factors": STRINGS, "score": LONG}


def context_type(capability: Capability, parts: PolicyParts) -> dict[str, JSONValue]:
    """Return the type of the context of this capability's action, in Cedar's JSON schema form."""
    members: dict[str, dict[str, JSONValue]] = {
        member: _record(inner) for member, inner in _records(capability, parts).items()
    }
    return _record({**members, "now": LONG, "proof": STRING})


def members_of(capability: Capability, parts: PolicyParts) -> dict[str, tuple[str, ...]]:
    """Return every member of the context, with the names inside it; empty for one that is no record."""
    records = {member: tuple(inner) for member, inner in _records(capability, parts).items()}
    return {**records, "now": (), "proof": ()}


def _records(capability: Capability, parts: PolicyParts) -> dict[str, dict[str, dict[str, JSONValue]]]:
    return {
        "agent": _AGENT_TYPE,
        "arguments": {
            mapping.name: {**ARGUMENT_TYPES[mapping.type], "required": mapping.required}
            for mapping in capability.arguments
        },
        "budget": _BUDGET_TYPE,
        "capability": _CAPABILITY_TYPE,
        "chain": _CHAIN_TYPE,
        "destination": _DESTINATION_TYPE,
        "history": {tracker.name: LONG for tracker in parts.trackers},
        "risk": _RISK_TYPE,
        "task": _TASK_TYPE,
        "windows": {window.name: BOOLEAN for window in parts.windows},
    }


ALWAYS_MOVING: Final = frozenset({"arguments", "budget", "history", "now", "proof", "task"})
TASK_MOVING: Final = frozenset({"calls_used"})
"""Names in `context.task` that each action changes."""


def moving_members(capability: Capability, parts: PolicyParts) -> frozenset[str]:
    """Return the members that may differ between two actions with a capability, of one caller under one mandate."""
    moving = {*ALWAYS_MOVING}
    if capability.destination.type:
        moving.add("destination")
    if parts.windows:
        moving.add("windows")
    if parts.risk:
        moving.add("risk")
    return frozenset(moving)


def shared_context(verified: VerifiedRequest, agent: Agent, parts: PolicyParts) -> Context:
    """Return what the contexts of all actions of this caller with this capability under this mandate share: every
    member but `moving_members`, and `task` without a valid `calls_used`."""
    shared: Context = {
        "agent": agent_facts(verified.caller.identity, agent),
        "capability": capability_facts(verified.resolved.capability),
        "chain": chain_facts(verified),
        "task": task_facts(verified.mandate),
    }
    if not verified.resolved.capability.destination.type:
        shared["destination"] = destination_facts(verified, parts)
    if not parts.windows:
        shared["windows"] = {}
    if not parts.risk:
        shared["risk"] = risk_of((), {})
    return shared


def moving_context(
    shared: Context,
    verified: VerifiedRequest,
    facts: Facts,
    *,
    arguments: dict[str, PolicyValue],
    parts: PolicyParts,
    scored: bool = True,
) -> Context:
    """Return the members of `moving_members`, with their values. shared: as `shared_context` returned it. scored:
    whether to add the risk, which needs all facts.

    Raises LookupError when a risk factor uses a fact that was not gathered.
    """
    task: Any = shared["task"]
    context: Context = {
        "arguments": arguments,
        "budget": {**facts.budget},
        "history": {**facts.history},
        "now": facts.at,
        "proof": verified.caller.proof,
        "task": {**task, "calls_used": facts.mandate_calls_used},
    }
    if "destination" not in shared:
        context["destination"] = destination_facts(verified, parts)
    if parts.windows:
        context["windows"] = windows_at(parts.windows, facts.at)
    if scored and parts.risk:
        context["risk"] = risk_of(parts.risk, {**shared, **context})
    return context


def capability_facts(capability: Capability) -> dict[str, JSONValue]:
    """Return the members of `context.capability`."""
    return {
        "environment": capability.environment,
        "kind": capability.kind,
        "owner": capability.ownership.owner,
        "reversible": capability.reversible,
        "sensitivity": capability.sensitivity,
        "server": capability.server,
        "tier": capability.tier,
    }


def task_facts(mandate: Mandate) -> dict[str, JSONValue]:
    """Return the members of `context.task`, with no call used."""
    return {
        "calls_max": mandate.calls_max,
        "calls_used": 0,
        "expires_at": mandate.expires_at,
        "mandate": mandate.id,
        "principal": mandate.principal,
        "purpose": mandate.purpose,
        "use_case": mandate.use_case,
    }


def agent_facts(identity: CallerIdentity, agent: Agent) -> dict[str, JSONValue]:
    """Return the members of `context.agent`. agent: its document."""
    return {
        "drifted": identity.drifted,
        "environment": agent.environment,
        "grade": identity.grade,
        "instance": identity.instance,
        "manifest": identity.manifest,
        "manifest_grade": identity.manifest_grade,
        "manifest_kernel": [name for name, grade in identity.manifest_fields if grade == "kernel"],
        "manifest_measured": [name for name, grade in identity.manifest_fields if grade != "claimed"],
        "owner": agent.ownership.owner,
        "source": identity.source,
        "tier": TIER_UNSAID if agent.tier is None else agent.tier,
    }


def chain_facts(verified: VerifiedRequest) -> dict[str, JSONValue]:
    """Return the members of `context.chain`: in `agents` the mandate's own agent is first and the acting agent last."""
    root, hops = str(verified.mandate.agent), verified.hops
    # The first hop, at depth 0, is the token of the mandate's own agent; without hops that agent acts by the mandate
    # itself.
    return {
        "agents": [str(hop.agent) for hop in hops] if hops else [root],
        "depth": hops[-1].depth if hops else 0,
        "person": verified.mandate.principal,
        "root": root,
    }


def destination_facts(verified: VerifiedRequest, parts: PolicyParts) -> dict[str, JSONValue]:
    """Return the members of `context.destination`."""
    capability = verified.resolved.capability
    found = classed(parts.destinations, capability, verified.destinations)
    return {
        "class": found.worst,
        "classes": [*found.classes],
        "names": [*verified.destinations],
        "type": capability.destination.type,
    }


def _record(attributes: Mapping[str, dict[str, JSONValue]]) -> dict[str, JSONValue]:
    return {"type": "Record", "attributes": dict(attributes)}

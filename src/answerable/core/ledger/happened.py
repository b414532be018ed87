"""Rebuild the event that counters (trackers) saw from a ledger entry, exactly as it was counted when the entry was
written.

Laws: what an entry, or the policy question in it, states about its action takes precedence over what the registry says
of the capability now; what can no longer be read is reported as unknown, never guessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.decision.counter import Event, resource_key
from answerable.core.registry.documents.pointing import named_arguments
from answerable.core.registry.snapshot.resolve import template_pattern

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.decision.counter import Nature
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.policy_parts import EventKind

Members = dict[str, "JSONValue"]


def nature_of(capability: Capability) -> Nature:
    """Return the attributes of a capability, beside its name, that trackers use."""
    return capability.kind, capability.environment, capability.sensitivity


def resource_in(capability: Capability, target: str, arguments: Mapping[str, JSONValue]) -> str | None:
    """Return the key of the resource that an action touches, by its capability's mapping; None where it names none."""
    mapping = capability.resource
    name: JSONValue = mapping.fixed
    if mapping.argument:
        variables = (
            template_pattern(capability.target).fullmatch(target) if "{" in capability.target else None
        )
        named = variables.groupdict() if variables is not None else {}
        named_by_pointer = named_arguments(capability.arguments, dict(arguments))
        name = named.get(mapping.argument, named_by_pointer.get(mapping.argument))
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    return resource_key(mapping.type, name) if isinstance(name, str) and name else None


def attempted(
    event: EventKind, leaf: Members, fields: Members | None, capability: Capability | None
) -> Event:
    """Return the attempt that the leaf of an intent, a refusal or a deferral records.

    fields: of the entry; None where they cannot be read, or were not. capability: as the registry knows it now, if it
    does.
    """
    action = fields.get("action") if fields is not None and "hidden" not in fields else None
    arguments = action.get("arguments") if isinstance(action, dict) else None
    target = action.get("target") if isinstance(action, dict) else None
    asked = fields.get("question") if fields is not None else None
    resource = _asked_of(asked)
    if resource is None and capability is not None:
        if isinstance(arguments, dict) and isinstance(target, str):
            resource = resource_in(capability, target, arguments)
        elif not capability.resource.argument:
            resource = resource_in(capability, "", {})
    nature = _asked_about(asked) or (nature_of(capability) if capability is not None else None)
    return Event(
        event=event,
        at=whole(leaf, "at"),
        agent=str(leaf.get("agent")),
        mandate=str(leaf.get("mandate")),
        capability=str(leaf.get("capability")),
        server=_server(leaf, action, capability),
        nature=nature,
        resource=resource,
        arguments=_shown_to_policy(arguments, asked, capability) if isinstance(arguments, dict) else None,
    )


def _shown_to_policy(arguments: Members, asked: JSONValue, capability: Capability | None) -> Members:
    """Return the arguments under the names that policy uses: those in the question, and for others those that the
    capability defines now."""
    named = named_arguments(capability.arguments, arguments) if capability is not None else arguments
    context = asked.get("context") if isinstance(asked, dict) else None
    shown = context.get("arguments") if isinstance(context, dict) else None
    return {**named, **shown} if isinstance(shown, dict) else named


def _server(leaf: Members, action: JSONValue, capability: Capability | None) -> str:
    """Return the server. A deferral states it only in its action; empty where it is no longer known."""
    acted = action.get("server") if isinstance(action, dict) else ""
    return str(leaf.get("server") or acted or (capability.server if capability is not None else ""))


def whole(leaf: Members, name: str) -> int:
    """Return a whole-number member of a leaf; 0 where it has none."""
    value = leaf.get(name)
    return value if type(value) is int else 0


def _asked_of(question: JSONValue) -> str | None:
    resource = question.get("resource") if isinstance(question, dict) else None
    if isinstance(resource, dict):
        kind, name = resource.get("type"), resource.get("id")
        if isinstance(kind, str) and isinstance(name, str) and name:
            return resource_key(kind, name)
    return None


def _asked_about(question: JSONValue) -> Nature | None:
    if not isinstance(question, dict) or not isinstance(context := question.get("context"), dict):
        return None
    capability = context.get("capability")
    if not isinstance(capability, dict):
        return None
    # Questions since version 3 state the first two only where they are not those of the action and the agent.
    action, agent = question.get("action"), question.get("principal")
    usual = {
        "kind": action.get("kind") if isinstance(action, dict) else None,
        "environment": agent.get("environment") if isinstance(agent, dict) else None,
    }
    found = [capability.get(name, usual.get(name)) for name in ("kind", "environment", "sensitivity")]
    kind, environment, sensitivity = (one if isinstance(one, str) else None for one in found)
    if kind is None or environment is None or sensitivity is None:
        return None
    return kind, environment, sensitivity

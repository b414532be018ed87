"""The Cedar schema that policies are checked against, made from the registered capabilities."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from answerable.core.action.reserved import RESERVED_MEMBERS
from answerable.core.decision.policy_context import context_type
from answerable.core.registry.documents.capability import ACTION_KINDS
from answerable.errors import shown

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.documents import Agent
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

AGENT: Final = "Agent"
USE_CASE: Final = "UseCase"
ACTION: Final = "Action"
KINDS: Final = ACTION_KINDS

_ENTITY_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_TYPES_TAKEN: Final = frozenset({AGENT, USE_CASE, ACTION, "Principal"})
_STRING: Final[dict[str, JSONValue]] = {"type": "String"}


def schema_of(snapshot: RegistrySnapshot) -> dict[str, JSONValue]:
    """Entity types Agent (in its UseCase) and one for each resource type; an action for each capability, in its kind.

    Capabilities that are not active are among them: a policy that names one is as good as before, and matches nothing,
    for nobody can ask for it. Else disabling an owner would be refused for the sake of a policy, in an emergency.

    Resources have no attributes: what is known of them comes with the capability, in the context, so that no entity
    has to be built for a call.
    """
    agent: JSONValue = {
        "memberOfTypes": [USE_CASE],
        "shape": {"type": "Record", "attributes": {"environment": _STRING, "use_case": _STRING}},
    }
    types: dict[str, JSONValue] = {AGENT: agent, USE_CASE: {}}
    actions: dict[str, JSONValue] = {kind: {} for kind in KINDS}
    # One that would stand for something else is told when it becomes active, as before.
    idle = (capability for capability in snapshot.idle.values() if not _faults_of(capability))
    parts = snapshot.parts
    for capability in (*snapshot.capabilities.values(), *idle):
        types[capability.resource.type] = {}
        actions[capability.name] = {
            "memberOf": [{"id": capability.kind}],
            "appliesTo": {
                "principalTypes": [AGENT],
                "resourceTypes": [capability.resource.type],
                "context": context_type(capability, parts),
            },
        }
    return {"": {"entityTypes": types, "actions": actions}}


def schema_faults(snapshot: RegistrySnapshot) -> list[str]:
    """Active capabilities whose names or types would stand for something else in a policy."""
    return [fault for capability in snapshot.capabilities.values() for fault in _faults_of(capability)]


def _faults_of(capability: Capability) -> list[str]:
    faults = []
    name, entity = shown(capability.name), capability.resource.type
    if capability.name in KINDS:
        faults.append(f"capability {name} has the name of a kind of action")
    if entity in _TYPES_TAKEN or not _ENTITY_TYPE.fullmatch(entity):
        faults.append(f"capability {name}: resource type {shown(entity)} is taken or not an entity type")
    names = [mapping.name for mapping in capability.arguments]
    if len(set(names)) < len(names) or RESERVED_MEMBERS.intersection(names):
        faults.append(f"capability {name}: an argument name is mapped twice or reserved")
    return faults


def entities_of(agent: Agent, capability: Capability) -> list[JSONValue]:
    """All entities that a decision needs: the agent in its use case, the action in its kind."""
    return [
        {
            "uid": {"type": AGENT, "id": agent.name},
            "attrs": {"environment": agent.environment, "use_case": agent.use_case},
            "parents": [{"type": USE_CASE, "id": agent.use_case}],
        },
        {
            "uid": {"type": ACTION, "id": capability.name},
            "attrs": {},
            "parents": [{"type": ACTION, "id": capability.kind}],
        },
    ]

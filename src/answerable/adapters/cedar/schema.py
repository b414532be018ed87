"""Generate the Cedar schema that policies are validated against from the registered capabilities."""

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
    """Return a schema with the entity types Agent (in its UseCase) and one per resource type, and an action per
    capability, in its kind.

    Inactive capabilities are included: a policy that names one stays valid and matches nothing, since no such action
    can be requested. Otherwise disabling an owner in an emergency would be refused because of a policy.

    Resources have no attributes: facts about them are in the context, with the capability, so that no resource entity
    is built for a call.
    """
    agent: JSONValue = {
        "memberOfTypes": [USE_CASE],
        "shape": {"type": "Record", "attributes": {"environment": _STRING, "use_case": _STRING}},
    }
    types: dict[str, JSONValue] = {AGENT: agent, USE_CASE: {}}
    actions: dict[str, JSONValue] = {kind: {} for kind in KINDS}
    # An inactive capability with a fault is left out; the fault is reported when it becomes active.
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
    """Return a fault for each active capability whose name or types would clash with other names in a policy."""
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
    """Return all entities that a decision needs: the agent in its use case, the action in its kind."""
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

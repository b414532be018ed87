from __future__ import annotations

import json

import cedarpy
import pytest

from answerable.adapters.cedar.heads import ANY, Head, HeadIndex, head_of
from answerable.core.identity.names.principal import AgentId
from tests.worlds.policy import AGENTS, CAPABILITIES

AGENT = AGENTS[AgentId("support-agent")]
READ = CAPABILITIES["crm.customer.read"]


def head(text: str) -> Head:
    return head_of(json.loads(cedarpy.policies_to_json_str(f"permit({text});"))["staticPolicies"]["policy0"])


@pytest.mark.parametrize(
    ("principal", "found"),
    [
        ("principal", ANY),
        ("principal is Agent", ANY),
        ('principal == Agent::"a"', ("Agent", "a")),
        ('principal in UseCase::"u"', ("UseCase", "u")),
        ('principal is Agent in UseCase::"u"', ("UseCase", "u")),
    ],
)
def test_the_principal_of_a_head(principal: str, found: tuple[str, str]):
    assert head(f"{principal}, action, resource").principal == found


@pytest.mark.parametrize(
    ("action", "found"),
    [
        ("action", (ANY,)),
        ('action == Action::"a"', (("Action", "a"),)),
        ('action in Action::"read"', (("Action", "read"),)),
        ('action in [Action::"a", Action::"read", Action::"a"]', (("Action", "a"), ("Action", "read"))),
        ("action in []", ()),
    ],
)
def test_the_actions_of_a_head(action: str, found: tuple[tuple[str, str], ...]):
    assert head(f"principal, {action}, resource").actions == found


@pytest.mark.parametrize(
    ("resource", "found"),
    [
        ("resource", (None, None)),
        ("resource is T", ("T", None)),
        ('resource == T::"1"', ("T", "1")),
        ('resource in T::"1"', ("T", "1")),
        ('resource is T in T::"1"', ("T", "1")),
    ],
)
def test_the_resource_of_a_head(resource: str, found: tuple[str | None, str | None]):
    own = head(f"principal, action, {resource}")
    assert (own.resource_type, own.resource_id) == found


def test_a_head_that_is_not_understood_matches_everything():
    odd = {"principal": {"op": "near"}, "action": {"op": "in", "entities": ["odd"]}, "resource": 5}
    assert head_of(odd) == Head() == head_of({})


def test_the_index_finds_every_way_to_name_an_agent_an_action_and_a_resource():
    heads = [
        head("principal, action, resource"),
        head('principal == Agent::"support-agent", action == Action::"crm.customer.read", resource'),
        head('principal in UseCase::"support", action in Action::"read", resource is Customer'),
        head('principal, action in [Action::"pay", Action::"read"], resource == Customer::"4711"'),
        head('principal == Agent::"finance-agent", action, resource'),
        head('principal, action == Action::"crm.note.write", resource'),
        head("principal, action, resource is Batch"),
    ]
    index = HeadIndex(heads)
    assert index.named("Customer") == {"4711"}
    assert index.named("Batch") == frozenset()
    assert index.matching(AGENT, READ, "4711") == (0, 1, 2, 3)
    assert index.matching(AGENT, READ, None) == (0, 1, 2)
    assert index.matching(AGENT, READ, None, any_id=True) == (0, 1, 2, 3)

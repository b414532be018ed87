"""Policies that ask which instance acts, and how well it is known."""

from __future__ import annotations

from dataclasses import is_dataclass, replace

import pytest
from msgspec import structs

from answerable.adapters.cedar.decision_point import CedarDecisionPoint
from answerable.adapters.cedar.publishing import published
from answerable.core.action.request import VerifiedRequest
from answerable.core.decision.decision import Decision
from answerable.core.identity.workload.evidence import UNKNOWN_IDENTITY, CallerIdentity
from answerable.errors import Malformed
from tests.worlds.policy import AGENTS, REGISTRY, Trial

pytestmark = pytest.mark.requirement("IDENT-07")

PERMIT = '@id("all") permit (principal, action, resource);\n'
KERNEL = CallerIdentity(
    instance="spiffe://answerable.test/agent/support-agent/1",
    source="unix",
    grade="kernel",
    manifest="a" * 64,
)


def verified(identity: CallerIdentity) -> VerifiedRequest:
    found = Trial().verified()
    caller = structs.replace(found.caller, identity=identity)
    return replace(found, caller=caller) if is_dataclass(found) else structs.replace(found, caller=caller)


def decided(condition: str, identity: CallerIdentity) -> Decision:
    """With and without slices, which must agree."""
    text = f'{PERMIT}@id("no") forbid (principal, action, resource) when {{ {condition} }};'
    policy_set = published(text, REGISTRY)
    decisions = [
        CedarDecisionPoint(policy_set, slicing=slicing).decide(verified(identity), Trial().facts())
        for slicing in (True, False)
    ]
    assert decisions[0] == decisions[1]
    return decisions[0]


@pytest.mark.parametrize(
    ("condition", "barred", "let"),
    [
        ('context.agent.grade != "kernel"', UNKNOWN_IDENTITY, KERNEL),
        ('context.agent.source == "unix"', KERNEL, UNKNOWN_IDENTITY),
        ("context.agent.drifted", structs.replace(KERNEL, drifted=True), KERNEL),
        ('context.agent.instance == ""', UNKNOWN_IDENTITY, KERNEL),
        (f'context.agent.manifest == "{"a" * 64}"', KERNEL, structs.replace(KERNEL, manifest="b" * 64)),
        (
            'context.agent.instance like "*/agent/support-agent/*" && context.agent.manifest == ""',
            structs.replace(KERNEL, manifest=""),
            KERNEL,
        ),
    ],
)
def test_each_member_can_be_asked_for(condition: str, barred: CallerIdentity, let: CallerIdentity):
    assert decided(condition, barred).effect == "deny"
    assert decided(condition, let).effect == "allow"


def test_the_environment_is_that_of_the_agents_document():
    [environment] = {agent.environment for agent in AGENTS.values() if agent.name == Trial().agent}
    assert decided(f'context.agent.environment == "{environment}"', KERNEL).effect == "deny"
    assert decided(f'context.agent.environment != "{environment}"', KERNEL).effect == "allow"


def test_the_whole_record_is_there_where_it_is_asked_for_whole():
    whole = "(if context.now > 0 then context.agent else context.agent).grade"
    assert decided(f'{whole} == "kernel"', KERNEL).effect == "deny"
    assert decided(f'{whole} != "kernel"', KERNEL).effect == "allow"


@pytest.mark.parametrize("condition", ["context.agent.rank > 1", "context.agent.drifted == 1"])
def test_what_an_agent_is_not_known_by_cannot_be_published(condition: str):
    with pytest.raises(Malformed):
        published(f'{PERMIT}@id("no") forbid (principal, action, resource) when {{ {condition} }};', REGISTRY)

"""A policy set as a stranger reads it: whole, or as much as can matter."""

from __future__ import annotations

import json

import cedarpy
import pytest

from answerable.core.registry.policy_parts import NO_PARTS
from answerable.core.registry.policy_statement import PolicyStatement
from answerable.errors import Malformed
from answerable.verify.partial_asking import ask_partly, unknown
from answerable.verify.policy_asking import Named, PolicyAsking, mentioned

pytestmark = pytest.mark.requirement("ANSWER-01")

SCOUT = Named(agent="scout", environment="e", use_case="support", action="crm.read", kind="read")


def asking(text: str) -> PolicyAsking:
    return PolicyAsking(PolicyStatement(policies=text, parts=NO_PARTS, schema_digest=""), digest="0")


def conditions(condition: str) -> object:
    text = cedarpy.policies_to_json_str(f"permit(principal, action, resource) when {{ {condition} }};")
    return json.loads(text)["staticPolicies"]["policy0"]["conditions"]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("context.a.b > 1", {"a": frozenset({"b"})}),
        ("context.a.b > 1 && context.a has c", {"a": frozenset({"b", "c"})}),
        ("context.a.b.c == 1", {"a": frozenset({"b"})}),
        ("context has a && context.a.b == 1", {"a": None}),
        ("context.now > 1", {"now": None}),
        ("[context.a] == [context.b.c]", {"a": None, "b": frozenset({"c"})}),
        ("context == {}", None),
        ("[context].contains({})", None),
        ("(if true then context else {}) has a", None),
        ("principal == resource", {}),
    ],
)
def test_what_conditions_mention_errs_to_more(condition, found):
    assert mentioned(conditions(condition)) == found


@pytest.mark.parametrize(
    "text",
    [
        "permit(",
        "permit(principal, action, resource);",
        '@id("a") permit(principal, action, resource); @id("a") permit(principal, action, resource);',
        '@id("a") @later("x") permit(principal, action, resource);',
        '@id("a") @approve("everybody") forbid(principal, action, resource);',
        '@id("a") permit(principal == ?principal, action, resource);',
        # Cedar's own parser ends the process here.
        f'@id("a") permit(principal, action, resource) when {{ {"(" * 5_000}true{")" * 5_000} }};',
        f'@id("a") permit(principal, action, resource) when {{ {"true && " * 20_000}true }};',
    ],
)
def test_a_policy_set_that_is_not_understood_is_not_asked(text):
    with pytest.raises(Malformed) as told:
        asking(text)
    assert told.value.code == "policy.unreadable"


def test_an_obligation_that_is_not_known_here_is_not_passed_over():
    with pytest.raises(Malformed):
        asking('@id("a") @oblige("dance") forbid(principal, action, resource);')


@pytest.mark.requirement("ANSWER-06")
@pytest.mark.parametrize(
    ("policies", "effect", "by"),
    [
        ("", "deny", ("policy.default_deny",)),
        ('@id("a") permit(principal == Agent::"rover", action, resource);', "deny", ("policy.default_deny",)),
        (
            '@id("a") permit(principal in UseCase::"support", action == Action::"crm.read", resource);',
            "allow",
            ("a",),
        ),
        ('@id("a") permit(principal, action in [Action::"read"], resource);', "allow", ("a",)),
        ('@id("a") permit(principal, action, resource == Case::"1");', "depends", ("a",)),
        (
            '@id("a") permit(principal, action, resource) when { context.windows.w };',
            "deny",
            ("policy.default_deny",),
        ),
        ('@id("a") permit(principal, action, resource) unless { context.windows.w };', "allow", ("a",)),
        ('@id("a") permit(principal, action, resource) when { context.history.h < 3 };', "depends", ("a",)),
    ],
)
def test_what_follows_from_what_is_known_is_told(policies, effect, by):
    context = {"windows": {"w": False}, "history": unknown("history"), "now": 1}
    found = ask_partly(asking(policies), SCOUT, resource_type="Case", resource_id="", context=context)
    assert (found.effect, found.by) == (effect, by)


@pytest.mark.requirement("ANSWER-06")
def test_conditions_are_told_as_cedar_writes_them_with_what_lifts_a_forbid():
    policies = (
        '@id("a") permit(principal, action, resource) when { context.windows.w || context.history.h < 3 };'
        '@id("b") @approve("finance:2") @reason("slow") forbid(principal, action, resource);'
        '@id("c") forbid(principal, action, resource) when { context.arguments.n > 5 && !context.windows.w };'
    )
    context = {"windows": {"w": False}, "history": unknown("history"), "arguments": unknown("arguments")}
    found = ask_partly(asking(policies), SCOUT, resource_type="Case", resource_id="1", context=context)
    assert found.effect == "depends"
    permits, slow, many = found.conditions
    assert "context.history" in permits
    assert "< 3" in permits
    assert slow == "in any case: only once 2 of group finance approve (b: slow)"
    assert "context.arguments" in many
    assert many.endswith("not allowed (c: policy c)")


@pytest.mark.requirement("ANSWER-06")
def test_a_forbid_that_nothing_lifts_is_a_no_whatever_else_is_unknown():
    policies = (
        '@id("a") permit(principal, action, resource) when { context.history.h < 3 };'
        '@id("b") forbid(principal, action, resource) when { context.windows.w };'
    )
    context = {"windows": {"w": True}, "history": unknown("history")}
    found = ask_partly(asking(policies), SCOUT, resource_type="Case", resource_id="1", context=context)
    assert (found.effect, found.by) == ("deny", ("b",))

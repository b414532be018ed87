"""A policy set as a stranger reads it: whole, or as much as can matter."""

from __future__ import annotations

import json
from typing import Any

import cedarpy
import msgspec
import pytest

from answerable.core.decision.asked import Asked, context_under
from answerable.core.registry.documents.policy_parts import NO_PARTS
from answerable.core.registry.policy_sets.policy_statement import PolicyStatement
from answerable.errors import Malformed
from answerable.verify import policy_evaluation
from answerable.verify.partial_asking import ask_partly, unknown
from answerable.verify.policy_evaluation import Named, PolicyAsking, mentioned

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


def question(*, case: str, amount: int, agent: str = "scout", approved: bool = False) -> Asked:
    """What a refund of a case was asked."""
    approval = {"id": "a-1", "answered_by": [["approvers", "bob"]]} if approved else None
    context = {"arguments": {"amount": amount}, "task": {"calls_used": amount % 3}, "now": 1}
    return msgspec.convert(
        {
            "action": {"id": "crm.refund", "kind": "pay"},
            "approval": approval,
            "context": context,
            "mandate_state": "open",
            "principal": {"environment": "test", "id": agent, "use_case": "support"},
            "registry": "",
            "resource": {"id": case, "type": "Case"},
            "rule": "",
            "v": 1,
        },
        Asked,
    )


LOOKING = {
    "nothing": "",
    "one case": '@id("x") forbid(principal, action, resource == Case::"1");',
    "a kind of thing": '@id("x") forbid(principal, action, resource is Case);',
    "a condition": '@id("x") forbid(principal, action, resource) when { resource == Case::"1" };',
    "in a condition": '@id("x") forbid(principal, action, resource) when { resource in Case::"1" };',
    "an error": '@id("x") forbid(principal, action, resource) when { resource.owner == "eve" };',
    "another agent's": '@id("x") forbid(principal == Agent::"rover", action, resource == Case::"1");',
    "a fact": '@id("x") forbid(principal, action, resource) when { context.task.calls_used == 1 };',
    "all facts": '@id("x") forbid(principal, action, resource) when { context == {} };',
    "a missing fact": '@id("x") forbid(principal, action, resource) when { context.task.left == 1 };',
}
AMOUNTS = (
    '@id("pays") permit(principal, action in [Action::"pay"], resource);'
    '@id("asks") @approve("approvers:1") forbid(principal, action, resource)'
    " when { context.arguments.amount > 4 };"
)


@pytest.mark.parametrize("looking", LOOKING)
def test_what_matters_and_what_was_asked_before_gives_what_the_whole_gives(looking):
    policies = asking(AMOUNTS + LOOKING[looking])
    questions = [
        question(case=case, amount=amount, agent=agent, approved=approved)
        for case in ("1", "2", "")
        for amount in (1, 4, 5, 9)
        for agent in ("scout", "rover")
        for approved in (False, True)
    ]
    for one in [*questions, *questions]:
        assert policies.decide(one, whole=False) == policies.decide(one)
    ahead = asking(AMOUNTS + LOOKING[looking])
    ahead.ask_ahead(questions)
    assert [ahead.decide(one, whole=False) for one in questions] == [*map(policies.decide, questions)]


def test_what_is_no_question_to_cedar_spoils_none_that_is_asked_at_once_with_it():
    policies = asking(AMOUNTS)
    sound, odd = question(case="1", amount=1), question(case="1", amount=1)
    odd = msgspec.structs.replace(odd, resource=msgspec.structs.replace(odd.resource, type="no type"))
    policies.ask_ahead([sound, odd, sound])
    assert policies.decide(sound, whole=False).effect == "allow"
    assert policies.decide(odd, whole=False).determined_by == ("policy.error",)


def test_no_more_answers_are_kept_than_there_may_be(monkeypatch):
    monkeypatch.setattr(policy_evaluation, "ONCE_MAX", 3)
    policies = asking(AMOUNTS)
    for _ in range(2):
        for amount in range(1, 10):
            one = question(case="1", amount=amount)
            policies.ask_ahead([one])
            assert policies.decide(one, whole=False) == policies.decide(one)
    assert len(policies._answers) == 3


def test_a_question_whose_answer_is_known_is_not_put_to_cedar_again(monkeypatch):
    given = []
    raw = cedarpy.is_authorized

    def counted(*arguments: Any) -> Any:
        given.append(1)
        return raw(*arguments)

    monkeypatch.setattr(cedarpy, "is_authorized", counted)
    policies = asking(AMOUNTS)
    for number in range(10):
        policies.decide(question(case=str(number), amount=1), whole=False)
    assert len(given) == 1, "no policy looks at the case"
    for number in range(10):
        policies.decide(question(case="1", amount=1 + number % 2), whole=False)
    assert len(given) == 2
    policies.ask_ahead([question(case="2", amount=2)])
    policies.decide(question(case="1", amount=1), whole=True)
    assert len(given) == 3, "the whole is always asked"


@pytest.mark.parametrize("count", [1, 24, 25, 26, 60])
def test_policies_are_read_in_groups_as_they_are_read_at_once(count):
    text = "".join(
        f'// number {number}; with a semicolon\n@id("p{number}") permit(principal, action, resource)'
        f' when {{ context.a == "; {number}" }};\n'
        for number in range(count)
    )
    found = asking(text)
    whole = json.loads(cedarpy.policies_to_json_str(text))["staticPolicies"].values()
    assert [found.policy(f"p{number}") for number in range(count)] == [
        next(one for one in whole if one["annotations"]["id"] == f"p{number}") for number in range(count)
    ]


@pytest.mark.requirement("ANSWER-06")
@pytest.mark.parametrize("with_risk", [True, False])
@pytest.mark.parametrize("member", ["", "destination", "windows", "risk"])
def test_a_member_that_the_set_declares_otherwise_is_named(member, with_risk):
    one = question(case="1", amount=1)
    sent: dict[str, Any] = {"names": ["bank.example"], "type": "host"}
    asked = msgspec.structs.replace(one, context={**one.context, "destination": sent})
    context: dict[str, Any] = {**context_under(asked, NO_PARTS)}
    assert context["destination"].keys() > sent.keys()
    if not with_risk:
        del context["risk"]
    if member in context:
        context[member] = {**context[member], "class": "ours"}
    unlike = asking(AMOUNTS).unlike(msgspec.structs.replace(asked, context=context))
    assert unlike == (member if member in context else "")

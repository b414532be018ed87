from __future__ import annotations

import json

import cedarpy
import pytest

from answerable.adapters.cedar.mentions import Mentions, ToldApart, flattened, mentions_of


def mentions(condition: str) -> Mentions:
    text = f"permit(principal, action, resource) when {{ {condition} }};"
    return mentions_of(
        json.loads(cedarpy.policies_to_json_str(text))["staticPolicies"]["policy0"]["conditions"]
    )


@pytest.mark.parametrize(
    ("condition", "paths"),
    [
        ("context.arguments.amount > 5", {("arguments", "amount")}),
        ('context["arguments"]["repo-path"] == "x"', {("arguments", "repo-path")}),
        ("context.arguments has amount", {("arguments", "amount")}),
        ("context has arguments.amount", {("arguments",), ("arguments", "amount")}),
        ("context has task", {("task",)}),
        (
            "context.now > 1 && context.proof == context.task.use_case",
            {("now",), ("proof",), ("task", "use_case")},
        ),
        ("context.arguments == {}", {("arguments",)}),
        ('context.arguments.tags.contains("x")', {("arguments", "tags")}),
        ("context.arguments.deep.er > 1", {("arguments", "deep")}),
        ("principal.environment == resource.arguments.x", set()),
        ("(if true then context.task else context.task).use_case == context.proof", {("task",), ("proof",)}),
    ],
)
def test_a_policy_mentions_what_it_looks_at(condition: str, paths: set[tuple[str, ...]]):
    found = mentions(condition)
    assert found.paths == frozenset(paths)
    assert (found.everything, found.resource) == (False, "resource" in condition)


@pytest.mark.parametrize(
    "condition",
    [
        "context == {a: 1}",
        "[context].contains({})",
        "(if true then context else context).task.calls_used > 1",
        "{Var: context}.Var.now > 1",
    ],
)
def test_context_used_whole_is_everything(condition: str):
    assert mentions(condition).everything


def test_unless_counts_as_when():
    text = 'forbid(principal, action, resource) when { context.now > 1 } unless { context.proof == "mtls" };'
    conditions = json.loads(cedarpy.policies_to_json_str(text))["staticPolicies"]["policy0"]["conditions"]
    assert mentions_of(conditions).paths == {("now",), ("proof",)}


def test_inside_is_names_or_everything_or_nothing():
    found = Mentions(paths=frozenset({("task", "use_case"), ("now",)}))
    assert found.inside("task") == frozenset({"use_case"})
    assert found.inside("now") is None
    assert found.inside("proof") == frozenset()
    joined = found.joined(Mentions(everything=True, paths=frozenset({("proof",)})))
    assert joined.inside("task") is None
    assert joined.paths == found.paths | {("proof",)}


@pytest.mark.parametrize(
    ("condition", "flat"),
    [
        ("context.task.calls_used > 1", 'context["task.calls_used"] > 1'),
        ("context.task has use_case && context.now > 1", 'context has "task.use_case" && context.now > 1'),
        ("context.agent.tier > 1", "context.agent.tier > 1"),
        (
            "context.arguments.tags.contains(context.task.purpose)",
            'context.arguments.tags.contains(context["task.purpose"])',
        ),
        ("context has task", "context has task"),
        ("principal.task.purpose == 1", "principal.task.purpose == 1"),
    ],
)
def test_what_is_in_a_record_stands_beside_it_and_nothing_else_changes(condition: str, flat: str):
    def parsed(text: str) -> object:
        whole = f"permit(principal, action, resource) when {{ {text} }};"
        return json.loads(cedarpy.policies_to_json_str(whole))["staticPolicies"]["policy0"]["conditions"]

    assert flattened(parsed(condition), {"task"}) == parsed(flat)


@pytest.mark.parametrize(
    ("condition", "texts"),
    [
        ('context.arguments.case == "1"', {"1"}),
        ('"1" != context.arguments.case || context.arguments.case == "2"', {"1", "2"}),
        ("context.arguments has case", set()),
        ('context.arguments has case && context.arguments.case == "1"', {"1"}),
        ('context.arguments.case like "1*"', None),
        ('context.arguments.case == "1" || context.arguments.case like "2"', None),
        ('["1"].contains(context.arguments.case)', None),
        ("context.arguments.case == context.agent.grade", None),
        ('(if true then context.arguments.case else "") == "1"', None),
        ("context.arguments == context.arguments", None),
    ],
)
def test_texts_are_told_apart_by_comparisons_and_all_of_them_by_anything_else(
    condition: str, texts: set[str] | None
):
    expected = None if texts is None else ToldApart(texts=frozenset(texts), steps=())
    assert mentions(condition).told_apart("arguments", "case") == expected


@pytest.mark.parametrize(
    ("condition", "steps"),
    [
        ("context.arguments.amount < 5", (5,)),
        ("context.arguments.amount >= 5", (5,)),
        ("context.arguments.amount <= 5", (6,)),
        ("context.arguments.amount > 5", (6,)),
        ("context.arguments.amount == 5 && context.arguments.amount != -2", (-2, -1, 5, 6)),
        ("5 < context.arguments.amount || 9 <= context.arguments.amount", (6, 9)),
        ("5 > context.arguments.amount || 9 >= context.arguments.amount", (5, 10)),
        ("context.arguments has amount", ()),
        ("context.arguments.amount + 1 < 5", None),
        ("context.arguments.amount < 5 && context.arguments.amount * 1 < 5", None),
        ("context.arguments.amount < context.task.calls_max", None),
        ("-(context.arguments.amount) < 5", None),
        ("[5].contains(context.arguments.amount)", None),
        ("context.arguments.amount == true", None),
    ],
)
def test_numbers_are_told_apart_where_a_comparison_begins_to_say_something_else(
    condition: str, steps: tuple[int, ...] | None
):
    expected = None if steps is None else ToldApart(texts=frozenset(), steps=steps)
    assert mentions(condition).told_apart("arguments", "amount") == expected


def test_numbers_that_no_comparison_tells_apart_stand_for_each_other_and_other_values_for_themselves():
    told = ToldApart(texts=frozenset({"a"}), steps=(0, 5, 6))
    assert [told.of(number) for number in (-9, -1, 0, 4, 5, 6, 99)] == [0, 0, 1, 1, 2, 3, 3]
    assert [told.of(other) for other in ("a", "b", "", True, ["a"])] == ["a", 0, 0, True, ["a"]]

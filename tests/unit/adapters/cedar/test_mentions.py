from __future__ import annotations

import json

import cedarpy
import pytest

from answerable.adapters.cedar.mentions import Mentions, mentions_of


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
    assert mentions(condition) == Mentions(paths=frozenset(paths))


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
    assert found.inside("task") == {"use_case"}
    assert found.inside("now") is None
    assert found.inside("proof") == frozenset()
    joined = found.joined(Mentions(everything=True, paths=frozenset({("proof",)})))
    assert joined.inside("task") is None
    assert joined.paths == found.paths | {("proof",)}

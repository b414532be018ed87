"""What is said of rules is true: that one never matches, or that another one makes it needless. Against real Cedar."""

from __future__ import annotations

import itertools
import json
from typing import Any

import cedarpy
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from answerable.adapters.cedar import CedarDecisionPoint, published
from answerable.adapters.cedar.answering import Answering
from answerable.adapters.cedar.registered import Registered
from answerable.adapters.cedar.rule_checks import check_rules
from answerable.adapters.cedar.rules import PolicySource, rules_of
from answerable.adapters.cedar.satisfiable import is_possible
from answerable.core.decision.decision import Decision
from answerable.core.registry.documents.look_alike import meant, skeleton
from answerable.testing.policy_model import ModelPolicy
from tests.property.test_decision_laws import text, trials
from tests.property.test_policy_differential import composed_sets
from tests.worlds.policy import AGENTS, CAPABILITIES, PARTS, REGISTRY, Trial

# A small world of which every member can be tried: two numbers, a text, two truths, and a number that may be missing.
NUMBERS = (-1, 0, 2)
TEXTS = ("a", "b", "c")
WORLD = [
    {"n": n, "m": m, "t": t, "b": b, **({} if o is None else {"o": o})}
    for n, m, t, b, o in itertools.product(NUMBERS, (0, 1), TEXTS, (True, False), (None, 1))
]
PRINCIPALS = ("x", "y")
REQUESTS = [
    {
        "principal": f'Agent::"{name}"',
        "action": 'Action::"a"',
        "resource": 'R::"r"',
        "context": json.dumps(context),
    }
    for context in WORLD
    for name in PRINCIPALS
]

numbers = st.sampled_from(["context.n", "context.m", "context.o", "-1", "0", "1", "2"])
comparisons = st.builds(
    lambda left, order, right: f"({left} {order} {right})",
    numbers,
    st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    numbers,
)
leaves = st.one_of(
    comparisons,
    st.sampled_from(
        ["context.b", "context has o", "context.b == false", "false != context.b", "true", "false"]
    ),
    st.builds(
        lambda order, word: f'(context.t {order} "{word}")',
        st.sampled_from(["==", "!="]),
        st.sampled_from(TEXTS),
    ),
    st.lists(st.sampled_from(TEXTS), max_size=3).map(
        lambda words: f"{json.dumps(words)}.contains(context.t)" if words else "[0].contains(context.n)"
    ),
    st.sampled_from(PRINCIPALS).map(lambda name: f'principal == Agent::"{name}"'),
    st.sampled_from(PRINCIPALS).map(lambda name: f'principal in [Agent::"{name}", Agent::"z"]'),
    st.just("principal is Agent"),
)
conditions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(lambda one: f"!({one})"),
        st.builds(lambda one, other: f"({one} && {other})", inner, inner),
        st.builds(lambda one, other: f"({one} || {other})", inner, inner),
        st.builds(lambda a, b, c: f"(if {a} then {b} else {c})", inner, inner, inner),
    ),
    max_leaves=8,
)


def node(condition: str) -> Any:
    read = json.loads(cedarpy.policies_to_json_str(policy(condition)))
    (found,) = read["staticPolicies"].values()
    return found["conditions"][0]["body"]


def policy(condition: str) -> str:
    return f"permit(principal, action, resource) when {{ {condition} }};"


def outcomes(condition: str) -> list[bool | None]:
    """What Cedar makes of a condition everywhere in the small world; None for an error."""
    results = cedarpy.is_authorized_batch(REQUESTS, policy(condition), [])
    return [None if one.diagnostics.errors else one.allowed for one in results]


@pytest.mark.requirement("SET-03")
@given(condition=conditions)
def test_what_is_said_never_to_hold_holds_nowhere(condition: str):
    if is_possible([(node(condition), True)]) is False:
        assert True not in outcomes(condition)
    if is_possible([(node(condition), False)]) is False:
        assert False not in outcomes(condition)


@pytest.mark.requirement("SET-03")
@given(first=conditions, second=conditions)
def test_what_is_said_to_follow_follows_wherever_neither_errs(first: str, second: str):
    assume(is_possible([(node(first), True), (node(second), False)]) is False)
    for one, other in zip(outcomes(first), outcomes(second), strict=True):
        assert not (one is True and other is False)


@pytest.mark.requirement("SET-03")
def test_most_that_never_holds_is_found():
    """The two laws above would be kept by whoever says nothing."""
    never = [
        "false",
        "context.b && !context.b",
        'context.t == "a" && context.t == "b"',
        "context.n > 1 && context.n < 2",
        "!(context.n >= 0 || context.n < 0)",
        '["a"].contains(context.t) && context.t != "a"',
        'principal == Agent::"x" && principal == Agent::"y"',
        "if context.b then false else context.b",
        "1 > 2",
        "context.n != context.n",
    ]
    assert [is_possible([(node(one), True)]) for one in never] == [False] * len(never)


REGISTERED = Registered(
    capabilities=tuple(CAPABILITIES.values()),
    agents={str(name): agent for name, agent in AGENTS.items()},
    use_cases=frozenset(agent.use_case for agent in AGENTS.values()),
    servers=frozenset(one.server for one in CAPABILITIES.values()),
    people=frozenset({"maria"}),
    answering=Answering(
        people={group: {f"{group}-{one}": "any" for one in range(3)} for group in ("finance", "security")}
    ),
    parts=PARTS,
)
NEEDLESS = ("rule.never_matches", "rule.shadowed", "rule.duplicate")


def needless(own: tuple[ModelPolicy, ...]) -> set[str]:
    """Ids of the policies that the check would have removed."""
    rules, faults = rules_of([PolicySource(file="own.cedar", text=text(own))], REGISTRY)
    assert not faults
    by_place = {rule.line: rule.policy.id for rule in rules}
    found = check_rules(rules, REGISTERED)
    return {by_place[fault.line] for fault in found.faults if fault.code in NEEDLESS}


@pytest.mark.requirement("SET-04")
@given(own=composed_sets(), asked=st.lists(trials(), min_size=1, max_size=8))
def test_without_the_rules_that_are_refused_as_needless_every_decision_is_the_same(
    own: tuple[ModelPolicy, ...], asked: list[Trial]
):
    gone = needless(own)
    assume(gone)
    left = tuple(one for one in own if one.id not in gone)
    before = CedarDecisionPoint(published(text(own), REGISTRY))
    after = CedarDecisionPoint(published(text(left), REGISTRY))
    for trial in asked:
        verified, facts = trial.verified(), trial.facts()
        old, new = before.decide(verified, facts), after.decide(verified, facts)
        # An error is a deny whatever else matches: it goes with the rule that made it.
        if old.determined_by != ("policy.error",):
            assert (new.effect, people_of(new)) == (old.effect, people_of(old))
            assert set(new.obligations) == set(old.obligations)


def people_of(decision: Decision) -> dict[str, int]:
    """How many of each group must approve."""
    needed: dict[str, int] = {}
    for one in decision.requirements:
        needed[one.group] = max(one.count, needed.get(one.group, 0))
    return needed


@pytest.mark.requirement("SET-05")
@given(name=st.from_regex(r"[a-z][a-z0-9.-]{0,12}", fullmatch=True))
def test_a_name_in_other_letters_is_recognised_and_itself_is_not_meant_by_itself(name: str):
    cyrillic = name.translate(str.maketrans("aeopcx", "\u0430\u0435\u043e\u0440\u0441\u0445"))
    for disguised in (name.upper(), cyrillic, name.replace("l", "1").replace("o", "0")):
        assert skeleton(disguised) == skeleton(name)
        if disguised != name:
            assert meant(disguised, [name]) == ("looks like", name)
    assert meant(name, [name]) in (None, ("near", name))

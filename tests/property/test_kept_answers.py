from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from answerable.adapters.cedar import CedarDecisionPoint, published
from answerable.adapters.cedar.slices import KeptAnswers
from answerable.core.identity.workload.evidence import CallerIdentity
from tests.property.test_decision_laws import policy_sets, text, trials
from tests.property.test_policy_differential import composed_sets
from tests.worlds.policy import REGISTRY, Trial


@pytest.mark.requirement("HOUSE-14")
@given(own=policy_sets() | composed_sets(), some=st.lists(trials(), min_size=1, max_size=4), data=st.data())
def test_kept_answers_are_those_that_the_policies_give_when_they_are_asked(own, some, data):
    policy_set = published(text(own), REGISTRY)
    keeping, asking = (
        CedarDecisionPoint(policy_set, answers=KeptAnswers(most))
        for most in (data.draw(st.sampled_from((1, 3, 100))), 0)
    )
    for trial in data.draw(st.lists(st.sampled_from(some), min_size=2, max_size=12)):
        verified, facts = trial.verified(), trial.facts()
        assert keeping.decide(verified, facts) == asking.decide(verified, facts)


@pytest.mark.requirement("HOUSE-14")
@given(own=policy_sets() | composed_sets(), some=st.lists(trials(), min_size=2, max_size=8), rest=st.data())
def test_what_actions_share_is_found_once_and_changes_no_decision(own, some, rest):
    policy_set = published(text(own), REGISTRY)
    busy, mandates = CedarDecisionPoint(policy_set), {}
    for trial in some:
        verified, facts = trial.verified(), trial.facts()
        verified = structs.replace(verified, mandate=mandates.setdefault(trial.agent, verified.mandate))
        if rest.draw(st.booleans()):
            identity = CallerIdentity(source="unix", grade="kernel", drifted=rest.draw(st.booleans()))
            caller = structs.replace(verified.caller, identity=identity)
            verified = structs.replace(verified, caller=caller)
        assert busy.decide(verified, facts) == CedarDecisionPoint(policy_set).decide(verified, facts)


CASES = st.sampled_from(["0", "1", "2", "01", "", "x"])


@st.composite
def about_case(draw: st.DrawFn) -> str:
    """A condition on a text: mostly comparisons with others, in either order, and at times another look at it."""
    case, text = "context.arguments.case", f'"{draw(CASES)}"'
    one = draw(
        st.sampled_from(
            [
                f"{case} == {text}",
                f"{case} != {text}",
                f"{text} == {case}",
                f"context.arguments has case && {case} == {text}",
                f'{case} like "0*"',
                f"[{text}].contains({case})",
                f"{case} == {case}",
                f"(if {case} == {text} then {text} else {case}) == {text}",
                f"{case} == context.agent.grade",
                "context.arguments has case",
            ]
        )
    )
    joint = draw(st.sampled_from(["", "&&", "||"]))
    return f"({one}) {joint} ({draw(about_case())})" if joint else one


@pytest.mark.requirement("HOUSE-14")
@given(st.lists(about_case(), min_size=1, max_size=3), st.lists(CASES, min_size=2, max_size=10))
def test_texts_that_no_policy_tells_apart_have_one_answer_and_others_their_own(conditions, cases):
    policies = '@id("p") permit(principal, action, resource);' + "".join(
        f'@id("f{number}") forbid(principal, action == Action::"crm.customer.read", resource) when {{ {condition} }};'
        for number, condition in enumerate(conditions)
    )
    policy_set = published(policies, REGISTRY)
    keeping, asking = (CedarDecisionPoint(policy_set, answers=KeptAnswers(most)) for most in (100, 0))
    for case in cases:
        trial = Trial(arguments={"case": case}, resource_id="1")
        verified, facts = trial.verified(), trial.facts()
        assert keeping.decide(verified, facts) == asking.decide(verified, facts)


@st.composite
def about_count(draw: st.DrawFn) -> str:
    """A condition on a counter: mostly comparisons with numbers, in either order, and at times another look at it."""
    name = draw(
        st.sampled_from(
            ["task.calls_used", "budget.calls_left", "budget.left_percent", "history.started_here"]
        )
    )
    count, number = f"context.{name}", draw(st.integers(-1, 12) | st.sampled_from([95, 99, 100]))
    operator = draw(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]))
    one = draw(
        st.sampled_from(
            [
                f"{count} {operator} {number}",
                f"{number} {operator} {count}",
                f"!({count} {operator} {number})",
                f"{count} + 1 {operator} {number}",
                f"{count} {operator} context.task.calls_used",
                f"[{number}, 3].contains({count})",
                f"(if {count} {operator} {number} then 1 else {count}) < 3",
            ]
        )
    )
    joint = draw(st.sampled_from(["", "&&", "||"]))
    return f"({one}) {joint} ({draw(about_count())})" if joint else one


@pytest.mark.requirement("HOUSE-14")
@given(
    st.lists(about_count(), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 6)), min_size=2, max_size=12),
)
def test_counts_that_no_policy_tells_apart_have_one_answer_and_others_their_own(conditions, counts):
    policies = '@id("p") permit(principal, action, resource);' + "".join(
        f'@id("f{number}") forbid(principal, action == Action::"crm.customer.read", resource) when {{ {condition} }};'
        for number, condition in enumerate(conditions)
    )
    policy_set = published(policies, REGISTRY)
    keeping, asking = (CedarDecisionPoint(policy_set, answers=KeptAnswers(most)) for most in (100, 0))
    for used, started in counts:
        trial = Trial(resource_id="1", calls_used=used, history={"started_here": started, "paid_today": 0})
        verified, facts = trial.verified(), trial.facts()
        assert keeping.decide(verified, facts) == asking.decide(verified, facts)

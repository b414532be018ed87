"""Conditions composed at random, against real Cedar and the reference model: errors and short circuits."""

from __future__ import annotations

import dataclasses
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.adapters.cedar import CedarDecisionPoint, published
from answerable.adapters.cedar.engine import public_engine
from answerable.testing.policy_model import (
    CONDITIONS,
    Condition,
    ModelPolicy,
    both,
    chosen,
    either,
    negated,
)
from tests.property.test_decision_laws import WIDTH, decided, modelled, policies, text, trials
from tests.worlds.policy import REGISTRY

LEAVES_MAX = 6


@cache
def conditions() -> st.SearchStrategy[Condition]:
    """A condition of up to six parts."""
    return st.recursive(
        st.sampled_from(CONDITIONS),
        lambda inner: st.one_of(
            st.builds(both, inner, inner),
            st.builds(either, inner, inner),
            st.builds(negated, inner),
            st.builds(chosen, inner, inner, inner),
        ),
        max_leaves=LEAVES_MAX,
    )


@st.composite
def composed_policies(draw: st.DrawFn, *, name: str, effect: str = "") -> ModelPolicy:
    """Any policy with a composed condition."""
    found = draw(policies(name=name, effect=effect))
    return dataclasses.replace(found, condition=draw(conditions()), typed=draw(st.booleans()))


@st.composite
def composed_sets(draw: st.DrawFn) -> tuple[ModelPolicy, ...]:
    """Up to eight, most with a condition, some for everything."""
    found = [draw(composed_policies(name=f"p{number}")) for number in range(draw(st.integers(1, 7)))]
    if draw(st.booleans()):
        found.append(ModelPolicy(id="all", effect="permit", condition=draw(st.none() | conditions())))
    return tuple(found)


@pytest.mark.requirement("POLPROOF-05")
@given(own=composed_sets(), asked=st.lists(trials(), min_size=1, max_size=8))
def test_composed_conditions_are_decided_as_the_model_says_however_they_are_asked(own, asked):
    policy_set = published(text(own), REGISTRY)
    sliced = CedarDecisionPoint(policy_set)
    others = [
        CedarDecisionPoint(policy_set, slicing=False),
        CedarDecisionPoint(policy_set, engine=public_engine),
    ]
    for trial in asked:
        verified, facts = trial.verified(), trial.facts()
        decision = sliced.decide(verified, facts)
        for other in (point.decide(verified, facts) for point in others):
            assert (other.effect, other.determined_by) == (decision.effect, decision.determined_by)
            assert (other.lifted, other.requirements) == (decision.lifted, decision.requirements)
            assert other.obligations == decision.obligations
        model = modelled(own, trial)
        assert (decision.effect, frozenset(decision.determined_by)) == (model.effect, model.determined_by)
        assert frozenset(decision.lifted) == model.lifted
        assert frozenset(decision.obligations) == model.obligations


@pytest.mark.requirement("POLPROOF-05")
@given(own=composed_sets(), more=composed_policies(name="added", effect="forbid"), trial=trials())
def test_adding_a_forbid_of_any_condition_never_widens(own, more, trial):
    assert WIDTH[decided((*own, more), trial).effect] <= WIDTH[decided(own, trial).effect]

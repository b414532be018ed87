"""Whatever a policy set declares: policies see it by its name and value, however much of it their slice looks at."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.adapters.cedar import CedarDecisionPoint, published
from answerable.adapters.cedar.engine import public_engine
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.registry.documents.documents import PolicySetDocument
from answerable.core.registry.documents.policy_parts import (
    EventMatch,
    PolicyParts,
    RiskFactor,
    TimeWindow,
    Tracker,
)
from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
from answerable.testing.policy_model import Condition, ModelCase, ModelPolicy, both, either, expected, negated
from tests.worlds.policy import NOW, REGISTRY, Trial

NAMES = tuple(f"t{number}" for number in range(6))
VALUES = st.sampled_from([0, 1, 2, 3, 10**9, 2**53 - 1])
PAY = Trial(agent="finance-agent", capability="payments.batch.submit", arguments={"batch": "7"})


@st.composite
def declared(draw: st.DrawFn) -> PolicyParts:
    """Up to six trackers, windows before and after this moment, and factors about the trackers."""
    trackers = draw(st.lists(st.sampled_from(NAMES), unique=True))
    windows = draw(st.lists(st.sampled_from(NAMES), unique=True))
    of = st.sampled_from(trackers) if trackers else st.nothing()
    factors = draw(st.lists(st.tuples(of, st.integers(1, 3)), max_size=4)) if trackers else []
    return PolicyParts(
        trackers=tuple(Tracker(name=name, over="mandate", matches=(EventMatch(),)) for name in trackers),
        windows=tuple(
            TimeWindow(name=name, begins=UnixMillis(NOW - draw(st.sampled_from([-5, 0, 5]))))
            for name in windows
        ),
        risk=tuple(
            RiskFactor(name=f"f{at}", points=10 + at, fact="history", of=name, at_least=least)
            for at, (name, least) in enumerate(factors)
        ),
    )


def lasting(parts: PolicyParts) -> dict[str, bool]:
    return {window.name: window.begins <= NOW for window in parts.windows}


def score(parts: PolicyParts, history: dict[str, int]) -> int:
    return sum(one.points for one in parts.risk if history[one.of] >= (one.at_least or 0))


def always(_: ModelCase) -> bool:
    """Of a condition that holds in every case."""
    return True


def never(_: ModelCase) -> bool:
    """Of one that holds in none."""
    return False


def about(name: str) -> list[Condition]:
    """One that holds from two on, and one that ends in an overflow from two on."""
    return [
        Condition(text=f"context.history.{name} >= 2", holds=lambda case: case.history[name] >= 2),
        Condition(
            text=f"context.history.{name} + 9223372036854775806 > 0",
            holds=lambda case: None if case.history[name] > 1 else True,
        ),
    ]


def atoms(parts: PolicyParts) -> list[Condition]:
    """What a policy may say about these parts, one thing each, and about the records as a whole."""
    found = [
        Condition(text="[context.history].contains(context.history)", holds=always),
        Condition(text="context.windows == context.windows", holds=always),
        Condition(text="context.risk.score > 20", holds=lambda case: case.risk > 20),
        Condition(text='context.risk.factors.contains("nothing")', holds=never),
    ]
    for tracker in parts.trackers:
        found += about(tracker.name)
    for name, lasts in lasting(parts).items():
        found.append(Condition(text=f"context.windows.{name}", holds=always if lasts else never))
    return found


@st.composite
def policies_about(draw: st.DrawFn, parts: PolicyParts) -> tuple[ModelPolicy, ...]:
    """Some permits and forbids, each about one or two of the parts."""
    one = st.sampled_from(atoms(parts))
    composed = st.one_of(one, st.builds(negated, one), st.builds(both, one, one), st.builds(either, one, one))
    return tuple(
        ModelPolicy(
            id=f"p{number}",
            effect=draw(st.sampled_from(["permit", "permit", "forbid"])),
            condition=draw(composed),
            resource_type=draw(st.sampled_from(["", "Batch", "Customer"])),
        )
        for number in range(draw(st.integers(1, 6)))
    )


def registry_of(parts: PolicyParts) -> RegistrySnapshot:
    sets = {"declared": PolicySetDocument(name="declared", policies="", parts=parts)}
    return dataclasses.replace(REGISTRY, policy_sets=MappingProxyType(sets))


@pytest.mark.requirement("POLPROOF-05")
@given(st.data())
def test_declared_facts_reach_policies_by_slice_as_whole_and_as_the_model_says(data):
    parts = data.draw(declared())
    own = data.draw(policies_about(parts))
    history = {tracker.name: data.draw(VALUES) for tracker in parts.trackers}
    policy_set = published("\n".join(policy.text() for policy in own), registry_of(parts))
    trial = dataclasses.replace(PAY, history=history)
    verified, facts = trial.verified(), trial.facts()
    decision = CedarDecisionPoint(policy_set).decide(verified, facts)
    for other in (
        CedarDecisionPoint(policy_set, slicing=False),
        CedarDecisionPoint(policy_set, engine=public_engine),
    ):
        found = other.decide(verified, facts)
        assert (found.effect, found.determined_by) == (decision.effect, decision.determined_by)
        assert found.question == decision.question
    case = dataclasses.replace(
        dataclasses.replace(trial, history={"paid_today": 0, **history}).model(),
        history=history,
        risk=score(parts, history),
    )
    model = expected(own, case)
    assert (decision.effect, frozenset(decision.determined_by)) == (model.effect, model.determined_by)


@pytest.mark.requirement("POLPROOF-05")
@given(declared(), st.data())
def test_a_declared_tracker_without_a_value_denies_whatever_the_policies_look_at(parts, data):
    names = [tracker.name for tracker in parts.trackers]
    policy_set = published('@id("all") permit(principal, action, resource);', registry_of(parts))
    missing = data.draw(st.sets(st.sampled_from(names), min_size=1)) if names else set()
    trial = dataclasses.replace(PAY, history={name: 1 for name in names if name not in missing})
    decision = CedarDecisionPoint(policy_set).decide(trial.verified(), trial.facts())
    assert (decision.effect == "deny") == bool(missing)
    assert ("facts.unknown" in decision.determined_by) == bool(missing)

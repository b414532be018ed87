from __future__ import annotations

import json
from typing import Any

import cedarpy
import pytest

from answerable.adapters.cedar.decision_point import CedarDecisionPoint
from answerable.adapters.cedar.engine import CedarRequest, Evaluate, raw_engine
from answerable.adapters.cedar.publishing import published
from answerable.adapters.cedar.slices import KeptAnswers
from answerable.core.identity.names.principal import UnixMillis
from tests.worlds.policy import NOW, REGISTRY, Trial

PERMIT = '@id("all") permit(principal, action in Action::"read", resource is Customer) when {{ {} }};'


class Asked:
    """An engine that notes what it is asked."""

    def __init__(self) -> None:
        self.requests: list[CedarRequest] = []

    def __call__(self, policies: cedarpy.PolicySet, entities: str) -> Evaluate:
        evaluate = raw_engine(policies, entities)

        def asked(request: CedarRequest) -> Any:
            self.requests.append(request)
            return evaluate(request)

        return asked


def point(text: str, *, answers: KeptAnswers | None = None) -> tuple[CedarDecisionPoint, Asked]:
    asked = Asked()
    return CedarDecisionPoint(published(text, REGISTRY), engine=asked, answers=answers), asked


def effects(own: CedarDecisionPoint, *trials: Trial) -> list[str]:
    return [own.decide(trial.verified(), trial.facts()).effect for trial in trials]


def read(case: str, **more: Any) -> Trial:
    return Trial(arguments={"case": case}, **more)


@pytest.mark.requirement("HOUSE-14")
def test_whoever_asks_again_with_all_facts_alike_that_policies_look_at_is_answered_without_asking():
    own, asked = point(PERMIT.format('context.arguments.case == "1"'))
    later = UnixMillis(NOW + 1)
    assert effects(own, read("1"), read("1", at=later, calls_used=3), read("2"), read("1")) == [
        "allow", "allow", "deny", "allow",
    ]  # fmt: skip
    assert len(asked.requests) == 2


@pytest.mark.requirement("HOUSE-14")
@pytest.mark.parametrize(
    "condition",
    [
        "context.now > 0",
        "context.budget.calls_left > context.budget.left_percent || true",
        "context.budget == context.budget",
        "context.history.started_here + 1 < 9",
        "[1, 2, 0].contains(context.history.started_here)",
        "context.history == context.history",
        "context.task.calls_used <= context.task.calls_max",
        "context.task.calls_used < 9 && context.task.calls_used * 1 < 9",
        "context has task",
        "context.task == context.task",
        "context == context",
    ],
)
def test_nothing_is_kept_of_policies_that_look_at_what_each_action_changes(condition):
    answers = KeptAnswers()
    own, asked = point(PERMIT.format(condition), answers=answers)
    assert effects(own, read("1"), read("1"), read("1")) == ["allow"] * 3
    assert (len(asked.requests), answers.asked, answers.kept) == (3, 3, 0)


@pytest.mark.requirement("HOUSE-14")
@pytest.mark.parametrize(
    "condition",
    [
        'resource == Customer::"1"',
        '[resource].contains(Customer::"1")',
        '(if true then resource else resource) == Customer::"1"',
    ],
)
def test_conditions_on_the_resource_are_asked_for_each(condition):
    own, asked = point(PERMIT.format(condition))
    assert effects(own, read("1"), read("2"), read("1"), read("2")) == ["allow", "deny", "allow", "deny"]
    assert len(asked.requests) == 2


@pytest.mark.requirement("HOUSE-14")
def test_an_answer_for_one_agent_or_capability_is_none_for_another():
    text = (
        '@id("all") permit(principal, action, resource);'
        + '@id("no") forbid(principal == Agent::"staging-agent", action, resource);'
    )
    own, _ = point(text)
    write = Trial(capability="crm.note.write", arguments={"case": "1"})
    staging = read("1", agent="staging-agent")
    assert effects(own, read("1"), staging, write, read("1"), staging) == [
        "allow",
        "deny",
        "allow",
        "allow",
        "deny",
    ]


@pytest.mark.requirement("HOUSE-14")
def test_what_was_not_asked_for_the_longest_time_goes_first():
    own, asked = point(PERMIT.format('context.arguments.case like "*"'), answers=KeptAnswers(most=2))
    effects(own, read("1"), read("2"), read("1"), read("3"), read("1"))
    assert len(asked.requests) == 3
    effects(own, read("2"))
    assert len(asked.requests) == 4


@pytest.mark.requirement("HOUSE-14")
def test_an_engine_that_fails_is_asked_again():
    faults = [RuntimeError("once")]

    def failing(policies: cedarpy.PolicySet, entities: str) -> Evaluate:
        evaluate = raw_engine(policies, entities)

        def asked(request: CedarRequest) -> Any:
            if faults:
                raise faults.pop()
            return evaluate(request)

        return asked

    own = CedarDecisionPoint(published(PERMIT.format("true"), REGISTRY), engine=failing)
    assert effects(own, read("1"), read("1")) == ["deny", "allow"]


@pytest.mark.requirement("HOUSE-14")
def test_no_argument_stays_in_memory_with_its_answer():
    answers = KeptAnswers()
    own, _ = point(PERMIT.format('context.arguments.case != ""'), answers=answers)
    effects(own, read("a-secret-case"))
    assert len(answers._answers) == 1
    assert all("a-secret-case" not in repr(one) for pair in answers._answers.items() for one in pair)


@pytest.mark.requirement("HOUSE-14")
def test_an_answer_is_kept_for_all_texts_that_policies_do_not_tell_apart():
    own, asked = point(PERMIT.format('context.arguments.case != "1" && "2" != context.arguments.case'))
    found = effects(own, read("3"), read("1"), read("4"), read("2"), read("5"), read("1"))
    assert found == ["allow", "deny", "allow", "deny", "allow", "deny"]
    assert len(asked.requests) == 3
    assert [json.loads(one["context"])["arguments.case"] for one in asked.requests] == ["3", "1", "2"]


@pytest.mark.requirement("HOUSE-14")
@pytest.mark.parametrize(
    ("condition", "counts", "found", "asked"),
    [
        ("context.task.calls_used < 3", (0, 1, 2, 3, 4, 2), "aaadda", 2),
        ("context.task.calls_used <= 3", (2, 3, 4, 5, 3), "aadda", 2),
        ("3 > context.task.calls_used && context.task.calls_used != 1", (0, 1, 2, 3, 0, 9, 1), "adadadd", 4),
        ("context.budget.calls_left > 0", (0, 1, 2), "aaa", 1),
        ("context.task.calls_used == -1 || 4 <= context.task.calls_used", (3, 4, 5, 0), "daad", 2),
    ],
)
def test_an_answer_is_kept_for_all_counts_on_the_same_side_of_each_number(condition, counts, found, asked):
    own, engine = point(PERMIT.format(condition))
    told = effects(own, *(read("1", calls_used=used) for used in counts))
    assert "".join(effect[0] for effect in told) == found
    assert len(engine.requests) == asked

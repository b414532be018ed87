from __future__ import annotations

import json
from dataclasses import replace
from types import MappingProxyType

import msgspec
import pytest

from answerable.adapters.cedar import compiled
from answerable.adapters.cedar.asking import Asking, ask
from answerable.adapters.cedar.publishing import published
from answerable.core.decision.asked import CannotTell
from answerable.core.decision.decision import Decision
from answerable.core.registry.documents.documents import PolicySetDocument
from answerable.core.registry.documents.policy_parts import (
    NO_PARTS,
    DestinationClass,
    EventMatch,
    PolicyParts,
    RiskFactor,
    TimeWindow,
    Tracker,
)
from answerable.errors import Malformed
from tests.worlds.policy import NOW, PARTS, REGISTRY, Trial, approval

PAY = Trial(capability="payments.batch.submit", arguments={"batch": "7", "amount": 100_000})
PERMIT = '@id("all") permit(principal, action, resource);'
LIFTED = (
    PERMIT + '@id("ask") @approve("finance:1") forbid(principal, action, resource == Batch::"7") '
    "when { context.arguments has amount };"
)
CALLS = Tracker(name="calls", over="mandate", matches=(EventMatch(),))


def decided(policies: str, trial: Trial, parts: PolicyParts = PARTS) -> Decision:
    return compiled(policies, registry(parts)).decide(trial.verified(), trial.facts())


def registry(parts: PolicyParts):
    sets = MappingProxyType({"one": PolicySetDocument(name="one", policies="", parts=parts)})
    return replace(REGISTRY, policy_sets=sets)


def asked(policies: str, question: bytes, parts: PolicyParts = PARTS, *, then: PolicyParts | None = PARTS):
    return ask(question, published(policies, registry(parts)), counted_by=then)


def bare(decision: Decision) -> Decision:
    return msgspec.structs.replace(decision, question=b"")


def forbid(condition: str) -> str:
    return f'{PERMIT} @id("no") forbid(principal, action, resource) when {{ {condition} }};'


@pytest.mark.requirement("PUB-01")
@pytest.mark.parametrize(
    "trial",
    [PAY, replace(PAY, approval=approval(finance=1)), Trial(), replace(PAY, arguments={"batch": "8"})],
)
def test_the_same_set_says_the_same_again(trial):
    decision = decided(LIFTED, trial)
    assert asked(LIFTED, decision.question) == bare(decision)


@pytest.mark.requirement("PUB-01")
def test_a_rule_that_said_no_says_no_whatever_the_candidate_permits():
    question = decided(PERMIT, replace(PAY, state="closed")).question
    answer = asked(PERMIT, question)
    assert isinstance(answer, Decision)
    assert answer.effect == "deny"
    assert answer.determined_by == ("mandate.closed",)


@pytest.mark.requirement("PUB-01")
def test_a_question_that_lacked_history_is_answered_by_a_set_that_asks_for_none():
    question = decided(PERMIT, replace(PAY, history={})).question
    assert json.loads(question)["rule"] == "facts.unknown"
    answer = asked(PERMIT, question, NO_PARTS)
    assert isinstance(answer, Decision)
    assert answer.effect == "allow"


@pytest.mark.requirement("PUB-01")
def test_windows_classes_and_risk_of_a_candidate_are_worked_out_anew():
    question = decided(PERMIT, replace(PAY, at=NOW)).question
    later = PolicyParts(
        windows=(TimeWindow(name="night", begins=NOW - 1, ends=NOW + 1),),
        destinations=(DestinationClass(name="ours", type="host", members=("example.com",)),),
        risk=(RiskFactor(name="much", points=7, fact="argument", of="amount", at_least=1),),
    )
    for condition in (
        "context.windows.night",
        'context.destination.class == "none"',
        "context.risk.score == 7",
    ):
        answer = asked(forbid(condition), question, later)
        assert isinstance(answer, Decision)
        assert answer.determined_by == ("no",), condition


@pytest.mark.requirement("PUB-01")
@pytest.mark.parametrize("then", [PARTS, None])
def test_the_history_of_a_new_tracker_is_not_guessed(then):
    question = decided(PERMIT, PAY).question
    answer = asked(forbid("context.history.calls > 3"), question, PolicyParts(trackers=(CALLS,)), then=then)
    assert answer == CannotTell(code="question.tracker_new", text="tracker `calls` did not count yet")


@pytest.mark.requirement("PUB-01")
def test_a_tracker_of_the_same_name_that_counts_something_else_is_not_taken_for_it():
    old = PolicyParts(trackers=(CALLS,))
    question = decided(forbid("context.history.calls > 3"), replace(PAY, history={"calls": 9}), old).question
    new = PolicyParts(trackers=(replace(CALLS, matches=(EventMatch(event="failed"),)),))
    policies = forbid("context.history.calls > 3")
    answers = [asked(policies, question, new, then=then) for then in (old, None)]
    assert [one.code for one in answers if isinstance(one, CannotTell)] == [
        "question.tracker_changed",
        "question.tracker_unknown",
    ]
    assert isinstance(asked(policies, question, old, then=old), Decision)


@pytest.mark.requirement("PUB-01")
def test_a_new_tracker_that_only_the_risk_looks_at_is_told_too_and_one_that_nobody_looks_at_is_not():
    question = decided(PERMIT, PAY).question
    risk = RiskFactor(name="often", points=1, fact="history", of="calls", at_least=1)
    parts = PolicyParts(trackers=(CALLS,), risk=(risk,))
    assert isinstance(asked(forbid("context.risk.score > 0"), question, parts), CannotTell)
    assert isinstance(asked(PERMIT, question, parts), Decision)


@pytest.mark.requirement("PUB-01")
def test_a_fact_that_policies_see_now_and_did_not_then_is_told_by_its_name():
    policies = PERMIT + (
        '@id("no") forbid(principal, action == Action::"payments.batch.submit", resource) '
        'when { context.arguments.batch like "7*" };'
    )
    told = json.loads(decided(PERMIT, PAY).question)
    told["context"]["arguments"]["batch"] = 7
    answers = [asked(policies, json.dumps(told).encode())]
    del told["context"]["arguments"]["batch"]
    answers.append(asked(policies, json.dumps(told).encode()))
    text = "the question has no `arguments.batch` as policies see it now"
    assert answers == [CannotTell(code="question.fact_missing", text=text)] * 2


@pytest.mark.requirement("PUB-01")
def test_an_error_of_the_candidate_itself_is_a_deny_as_it_would_have_been():
    question = decided(PERMIT, replace(PAY, arguments={"batch": "7", "amount": 2**53 - 1})).question
    overflow = "context.arguments has amount && context.arguments.amount * 4611686018427387904 > 0"
    answer = asked(forbid(overflow), question)
    assert isinstance(answer, Decision)
    assert (answer.effect, answer.determined_by) == ("deny", ("policy.error",))


@pytest.mark.requirement("PUB-01")
@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", "question.malformed"),
        (b"{}", "question.malformed"),
        (b"\xff", "question.malformed"),
        (b"[" * 100_000, "question.malformed"),
    ],
)
def test_what_is_no_question_is_refused(text, code):
    with pytest.raises(Malformed) as refused:
        asked(PERMIT, text)
    assert refused.value.code == code


@pytest.mark.requirement("PUB-01")
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"v": 4}, "question.version"),
        ({"context": {}}, "question.malformed"),
    ],
)
def test_a_question_of_another_shape_is_refused(change, code):
    told = json.loads(decided(PERMIT, PAY).question)
    with pytest.raises(Malformed) as refused:
        asked(PERMIT, json.dumps({**told, **change}).encode())
    assert refused.value.code == code


@pytest.mark.requirement("PUB-01")
def test_a_question_that_does_not_say_when_it_was_asked_is_refused():
    told = json.loads(decided(PERMIT, PAY).question)
    del told["context"]["now"]
    with pytest.raises(Malformed, match="lacks the time"):
        asked(PERMIT, json.dumps(told).encode())


@pytest.mark.requirement("PUB-02")
def test_a_window_that_is_moved_makes_another_set():
    moved = replace(PARTS, windows=(replace(PARTS.windows[0], ends=NOW + 3_000),))
    first, second, none = (published(PERMIT, registry(parts)).digest for parts in (PARTS, moved, NO_PARTS))
    assert len({first, second, none}) == 3
    assert decided(PERMIT, PAY, moved).policy_set == second


@pytest.mark.requirement("PUB-01")
def test_one_who_asks_many_asks_the_same_set():
    asking = Asking(published(PERMIT, REGISTRY))
    assert asking.policy_set == published(PERMIT, REGISTRY).digest

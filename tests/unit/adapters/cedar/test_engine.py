from __future__ import annotations

import cedarpy
import pytest

from answerable.adapters.cedar import engine
from answerable.adapters.cedar.engine import (
    ERROR_CHARS_MAX,
    ERRORS_KEPT_MAX,
    CedarRequest,
    evaluation,
    fastest_engine,
    public_engine,
    raw_engine,
)
from answerable.core.decision.decision import Evaluation

FORMS = [raw_engine, public_engine]
PERMIT = cedarpy.PolicySet.from_str("permit(principal, action, resource);")


def request(context: str) -> CedarRequest:
    return {
        "principal": {"type": "Agent", "id": "a"},
        "action": {"type": "Action", "id": "x"},
        "resource": {"type": "R", "id": '"; permit(principal, action, resource); //'},
        "context": context,
    }


@pytest.mark.parametrize("form", FORMS)
def test_a_clean_allow_names_its_permits(form: engine.Engine):
    assert form(PERMIT, "[]")(request("{}")) == Evaluation(allowed=True, determining=("policy0",))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "context", ['{"a": 1.5}', '{"a": null}', '{"a": 9223372036854775808}', "[]", "no json", ""]
)
def test_a_request_that_cedar_cannot_build_has_errors_and_allows_nothing(form: engine.Engine, context: str):
    found = form(PERMIT, "[]")(request(context))
    assert found.errors
    assert not found.allowed


@pytest.mark.parametrize("form", FORMS)
def test_a_missing_key_raises_for_the_decision_point_to_catch(form: engine.Engine):
    evaluate = form(PERMIT, "[]")
    with pytest.raises(KeyError):
        evaluate({"principal": {"type": "Agent", "id": "a"}})


def test_only_a_clean_answer_counts():
    assert evaluation("Allow", [], []).errors
    assert evaluation("Allow", ["a"], ["oops"]) == Evaluation(allowed=False, determining=(), errors=("oops",))
    assert evaluation("NoDecision", [], []).errors
    assert evaluation("Perhaps", ["a"], []).errors
    assert evaluation("Deny", ["b", "a"], []) == Evaluation(allowed=False, determining=("a", "b"))


def test_errors_are_one_line_sorted_and_bounded():
    found = evaluation("Deny", [], ["b\n b", "a" * 1000, *(str(number) for number in range(20))])
    assert len(found.errors) == ERRORS_KEPT_MAX
    assert list(found.errors) == sorted(found.errors)
    assert evaluation("Deny", [], ["x\n\ty"]).errors == ("x y",)
    assert len(evaluation("Deny", [], ["a" * 1000]).errors[0]) == ERROR_CHARS_MAX


def test_the_raw_form_works_with_the_cedarpy_that_is_installed():
    assert fastest_engine() is raw_engine


def test_a_raw_form_that_answers_otherwise_is_not_taken(monkeypatch: pytest.MonkeyPatch):
    def lax(policies: cedarpy.PolicySet, entities_json: str) -> engine.Evaluate:
        return lambda request: Evaluation(allowed=True, determining=("policy0",))

    monkeypatch.setattr(engine, "raw_engine", lax)
    assert engine.fastest_engine() is public_engine


@pytest.mark.parametrize("fault", [AttributeError("gone"), TypeError("signature"), BaseException("panic")])
def test_a_raw_form_that_fails_is_not_taken(monkeypatch: pytest.MonkeyPatch, fault: BaseException):
    def failing(policies: cedarpy.PolicySet, entities_json: str) -> engine.Evaluate:
        raise fault

    monkeypatch.setattr(engine, "raw_engine", failing)
    assert engine.fastest_engine() is public_engine


def test_an_interrupt_is_no_fault_of_the_engine(monkeypatch: pytest.MonkeyPatch):
    def interrupted(policies: cedarpy.PolicySet, entities_json: str) -> engine.Evaluate:
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "raw_engine", interrupted)
    with pytest.raises(KeyboardInterrupt):
        engine.fastest_engine()

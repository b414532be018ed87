"""A table is asked what the gateway asks: the question of a case is that of the same action on its real walk."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest

from answerable.core.decision.decision import Decision
from answerable.core.decision.policy_case import cases_in
from answerable.core.decision.policy_trial import trial_of
from answerable.core.mandate.mandate import Mandate
from answerable.core.registry.documents.fields import Fault
from answerable.errors import Refused
from answerable.ports.decision_point import DecisionPoint
from answerable.testing.builders import Bench

pytestmark = pytest.mark.anyio


class Overheard:
    """A decision point that keeps what it decided."""

    def __init__(self, point: DecisionPoint) -> None:
        self.point = point
        self.decisions: list[Decision] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.point, name)

    def decide(self, *asked: Any) -> Decision:
        decision = self.point.decide(*asked)
        self.decisions.append(decision)
        return decision


def given(mandate: Mandate, amount: int) -> Any:
    """The same action as a case says it. What the bench chooses at random or for itself is given."""
    faults: list[Fault] = []
    (case,) = cases_in(
        {
            "cases": [
                {
                    "name": "a refund",
                    "given": {
                        "agent": "scout",
                        "capability": "crm.refund",
                        "arguments": {"case": "4711", "amount": amount},
                        "task": {
                            "principal": mandate.principal,
                            "purpose": mandate.purpose,
                            "mandate": mandate.id,
                            "callsMax": mandate.calls_max,
                        },
                    },
                    "expect": "allow",
                }
            ]
        },
        faults,
    )
    assert not faults
    return case.given


@pytest.mark.requirement("SET-07")
@pytest.mark.parametrize("amount", [1_200, 6_000, 2_000_000])
async def test_the_question_of_a_case_is_that_of_the_walk(amount: int):
    bench = await Bench().registered()
    mandate = await bench.issue("m-1")
    overheard = Overheard(bench.walk.policies.decision_point)
    bench.walk.policies.decision_point = overheard
    with suppress(Refused):
        await bench.refund(amount)
    real = overheard.decisions[0]
    verified, facts = trial_of(given(mandate, amount), bench.authority.registry.current)
    tried = overheard.point.decide(verified, facts)
    assert (tried.effect, tried.determined_by, tried.requirements) == (
        real.effect,
        real.determined_by,
        real.requirements,
    )
    asked, case = json.loads(real.question), json.loads(tried.question)
    for question in (asked, case):
        # Another moment, and with it another end of the task.
        question["context"]["now"] = question["context"]["task"]["expires_at"] = 0
    assert case == asked

"""What a person at a terminal sees of a card that has a prepared object, and of what became of an answer."""

from __future__ import annotations

import re
from typing import Any, cast

import pytest
from msgspec import structs

from answerable.api.approval_answers import Approval, Review
from answerable.apps.cli import approvals
from answerable.apps.cli.command import Shell
from answerable.apps.cli.terminal import Terminal
from tests.worlds.answers import filled

ANSWER = filled(Approval, id="a-1", state="pending", reasons=["finance looks first"], expires_at="noon")
CARD: Any = {
    "sentence": "Pay a run",
    "badges": ["critical"],
    "lines": [["for", "alice"]],
    "arguments": [["run", "{}"]],
    "effect": [],
    "all": [],
}


def shell() -> Shell:
    return cast("Shell", type("Shown", (), {"terminal": Terminal(colour=False)})())


def shown(capsys: Any, card: Any, answer: Approval = ANSWER) -> str:
    approvals._show(shell(), answer, card, whole=False)
    return str(capsys.readouterr().out)


def test_each_line_of_what_was_prepared_is_shown_before_the_arguments(capsys):
    out = shown(capsys, {**CARD, "prepared": [["prepared by", "payruns.prepare"], ["› lines 1", "amount 5"]]})
    assert out.index("prepared by") < out.index("› lines 1") < out.index("arguments")


def test_without_one_nothing_is_said_of_it(capsys):
    assert "prepared" not in shown(capsys, CARD)


def test_an_approval_from_before_there_were_cards_is_shown_by_its_call(capsys):
    answer = structs.replace(ANSWER, object="{}", action='{"server": "crm", "target": "refund"}')
    out = shown(capsys, approvals._card(answer), answer)
    assert out.splitlines()[:2] == ["exactly this will run:", "  refund on crm"]
    assert "a-1" in out


def test_why_an_approval_is_void_is_shown_where_it_is(capsys):
    assert "void because" not in shown(capsys, CARD)
    out = shown(capsys, CARD, structs.replace(ANSWER, state="void", void_because=("the policy",)))
    assert "will run" not in out
    assert "void because" in out
    assert "the policy" in out


@pytest.mark.parametrize(
    ("verdict", "state", "told"),
    [
        ("break_glass", "approved", "once, until noon; a review is due by tonight"),
        ("approve", "approved", "approved: the agent may now run exactly this, once"),
        ("break_glass", "void", "the approval is void"),
        ("deny", "denied", "the approval is denied"),
    ],
)
def test_what_became_of_it_is_said_and_of_a_broken_glass_until_when_and_what_is_owed(
    capsys, verdict, state, told
):
    due = filled(Review, due_at="tonight") if (verdict, state) == ("break_glass", "approved") else None
    after = structs.replace(ANSWER, state=state, expires_at="noon", review=due)
    approvals._say_taken(shell(), after, verdict, proposed=False)
    assert capsys.readouterr().err.rstrip().endswith(told)


@pytest.mark.parametrize(
    ("by", "told"), [("hold_7", "hold hold_7:"), ("", "a revocation, or the end of its mandate:")]
)
def test_of_an_approval_that_a_stop_denied_it_is_said_what_denied_it_and_that_nothing_will_run(
    capsys, by, told
):
    out = shown(capsys, CARD, structs.replace(ANSWER, state="denied", ended_by=by))
    assert "will run" not in out
    assert re.search(rf"denied by +{told} see `answerable timeline a-1`", out)
    assert "denied by" not in shown(capsys, CARD)

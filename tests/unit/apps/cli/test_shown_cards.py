"""What a person at a terminal sees of a card that has a prepared object."""

from __future__ import annotations

from typing import Any, cast

from answerable.apps.cli import approvals
from answerable.apps.cli.command import Shell
from answerable.apps.cli.terminal import Terminal

ANSWER: Any = {
    "id": "a-1",
    "state": "pending",
    "void_because": [],
    "reasons": ["finance looks first"],
    "answers": [],
    "expires_at": 1,
    "claimed": "",
    "test": "",
}
CARD: Any = {
    "sentence": "Pay a run",
    "badges": ["critical"],
    "lines": [["for", "alice"]],
    "arguments": [["run", "{}"]],
    "effect": [],
    "all": [],
}


def shown(capsys: Any, card: Any, answer: Any = ANSWER) -> str:
    shell = cast("Shell", type("Shown", (), {"terminal": Terminal(colour=False)})())
    approvals._show(shell, answer, card, whole=False)
    return str(capsys.readouterr().out)


def test_each_line_of_what_was_prepared_is_shown_before_the_arguments(capsys):
    out = shown(capsys, {**CARD, "prepared": [["prepared by", "payruns.prepare"], ["› lines 1", "amount 5"]]})
    assert out.index("prepared by") < out.index("› lines 1") < out.index("arguments")


def test_without_one_nothing_is_said_of_it(capsys):
    assert "prepared" not in shown(capsys, CARD)


def test_an_approval_from_before_there_were_cards_is_shown_by_its_call(capsys):
    answer = {**ANSWER, "object": "{}", "action": '{"server": "crm", "target": "refund"}'}
    out = shown(capsys, approvals._card(answer), answer)
    assert out.splitlines()[:2] == ["exactly this will run:", "  refund on crm"]
    assert "a-1" in out


def test_why_an_approval_is_void_is_shown_where_it_is(capsys):
    assert "void because" not in shown(capsys, CARD)
    out = shown(capsys, CARD, {**ANSWER, "state": "void", "void_because": ["the policy"]})
    assert "void because" in out
    assert "the policy" in out

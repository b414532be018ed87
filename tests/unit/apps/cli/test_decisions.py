"""`answerable decision replay --all` on a product in memory: in parts, and broken off."""

from __future__ import annotations

import json
from typing import Any

import pytest

from answerable.client import decision_calls
from tests.unit.apps.cli.test_policy_simulation import Command, command

__all__ = ["command"]

pytestmark = [pytest.mark.requirement("ANSWER-09")]


def test_a_part_of_the_ledger_is_asked_again(command: Command):
    whole = json.loads(command("decision", "replay", "--all", "--json").stdout)
    assert (whole["counts"], whole["next"]) == ({"same": 2}, None)
    parts = [
        json.loads(command("decision", "replay", "--all", *given, "--json").stdout)["counts"].get("same", 0)
        for given in (("--to", "8"), ("--from", "8"))
    ]
    assert sum(parts) == 2
    assert "--from and --to need --all" in command("decision", "replay", "7", "--from", "1", code=2).stderr


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--from", "10", "--to", "5"), "the range ends before it begins"),
        (("--to", "0"), "the range ends before it begins"),
        (("--from", "100"), "name an earlier --from than 100"),
    ],
)
def test_a_range_without_an_entry_is_refused(command: Command, given: tuple[str, ...], told: str):
    assert told in " ".join(command("decision", "replay", "--all", *given, code=2).stderr.split())


def test_broken_off_it_tells_what_it_found_and_where_to_go_on(
    command: Command, monkeypatch: pytest.MonkeyPatch
):
    ask = decision_calls.replay_decisions
    pages: list[Any] = []

    def interrupted(control: Any, **query: Any) -> Any:
        if pages:
            raise KeyboardInterrupt
        pages.append(ask(control, **query, entries="8"))
        return pages[0]

    monkeypatch.setattr(decision_calls, "replay_decisions", interrupted)
    result = command("decision", "replay", "--all", code=1)
    assert "interrupted, so this is incomplete: continue with --from 8" in result.stderr
    assert pages[0].next == 8


MISUSED = [
    ("decision", "replay"),
    ("decision", "replay", "--json"),
    ("decision", "replay", "7", "--all"),
    ("could", "scout", "crm.read", "--at", "soon"),
    ("policy", "simulate", "--tier", "crm.read=3", "--since", "soon"),
    ("policy", "simulate"),
    ("policy", "shadow", "start"),
    ("revoke", "agent"),
]


@pytest.mark.requirement("CLI-09")
@pytest.mark.parametrize("words", MISUSED, ids=" ".join)
def test_words_that_do_not_fit_together_are_a_usage_error(command: Command, words: tuple[str, ...]):
    said = command(*words, code=2).stderr
    assert "\nanswerable: " in f"\n{said}"
    assert f"\nTry 'answerable {words[0]} " in said
    assert " --help' for help.\n" in said


ABSENT = [
    ("why", "m-1"),
    ("decision", "replay", "m-1"),
    ("policy", "shadow", "status"),
    ("lease", "list"),
    ("mandate", "show", "m-9"),
    ("duty", "show", "nobody"),
]


@pytest.mark.requirement("CLI-09")
@pytest.mark.parametrize("words", ABSENT, ids=" ".join)
def test_what_is_not_there_has_one_exit_code(command: Command, words: tuple[str, ...]):
    assert "\nanswerable: " in f"\n{command(*words, code=1).stderr}"


@pytest.mark.requirement("CLI-09")
@pytest.mark.parametrize("words", [("why",), ("decision", "replay")], ids=" ".join)
@pytest.mark.parametrize("name", ["m-1", "99999"])
def test_a_decision_that_is_not_there_is_named_and_what_would_be_one_is_said(
    command: Command, words: tuple[str, ...], name: str
):
    said = command(*words, name, code=1).stderr
    assert f"no decision `{name}`" in said.replace("'", "`")
    assert "give the id or the entry of an action, or the id of an approval" in said

"""A list of accounts that lacks some says so in every form, and by its exit code."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from answerable.apps.cli.exit_codes import UNMET
from answerable.apps.cli.terminal import Terminal
from answerable.apps.cli.told_accounts import show_accounts
from answerable.flows.forensics.answer_questions import answered_accounts
from answerable.flows.forensics.tell_story import StoryTeller
from answerable.ports.search_process import AccountsQuestion
from answerable.wiring.seen_accounts import known_accounts
from tests.worlds.searched import Searched


@pytest.mark.requirement("ACCOUNT-01")
@pytest.mark.parametrize("form", ["text", "json", "csv"])
def test_accounts_that_were_seen_in_logs_and_cannot_be_read_are_told_as_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    seen = tmp_path / "seen.json"
    seen.write_text('{"form":1,"accounts":[]}')
    found = Searched(tmp_path)
    found.action("scout", person="ada", leased=True)
    found.lease(*found.account_lease(found.made))
    told = {}
    with closing(found.caught_up()) as index:
        teller = StoryTeller(index, found.ledger, found.find)
        for content in (seen.read_text(), "{"):
            seen.write_text(content)
            answer = answered_accounts(teller, AccountsQuestion(target=""), known=known_accounts(seen, ()))
            code = show_accounts(Terminal(as_json=form == "json"), answer, as_csv=form == "csv")
            told[code] = capsys.readouterr()
    assert told.keys() == {None, UNMET}
    why = "seen.json` has no accounts that were seen in logs"
    assert why not in told[None].out + told[None].err
    assert why in (json.loads(told[UNMET].out)["fault"] if form == "json" else told[UNMET].err)
    assert "pg-main" in told[UNMET].out


@pytest.mark.requirement("ACCOUNT-01")
def test_a_target_of_which_nothing_is_known_is_not_told_as_one_without_faults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Searched(tmp_path)
    found.action("scout", person="ada", leased=True)
    with closing(found.caught_up()) as index:
        teller = StoryTeller(index, found.ledger, found.find)
        answer = answered_accounts(teller, AccountsQuestion(target="pg-mian"), known=known_accounts(None, ()))
    assert show_accounts(Terminal(), answer, as_csv=False, target="pg-mian") == UNMET
    said = capsys.readouterr()
    assert "no account is known at target `pg-mian`" in said.out + said.err

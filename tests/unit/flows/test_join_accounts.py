"""Accounts of a ledger in shards: joined, they are those of one ledger that has the entries of all."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from answerable.api.search_answers import AccountsAnswer, AccountUser, TargetAccount
from answerable.core.attribution.seen_account import OF_LEASES, SeenAccount
from answerable.core.lease.name import account_of, lease_name
from answerable.core.lease.own_account import DeclaredTarget, OwnAccount
from answerable.flows.forensics.answer_questions import answered_accounts
from answerable.flows.forensics.join_accounts import joined_accounts, joined_rows
from answerable.flows.forensics.list_accounts import Known
from answerable.flows.forensics.tell_story import StoryTeller
from answerable.ports.search_process import AccountsQuestion, Within
from tests.worlds.searched import Searched

TASKS = [lease_name(bytes(14) + bytes((9, number))) for number in range(3)]
SEEN = (
    SeenAccount("pg-main", OF_LEASES, "postgres", 5, 9, 30, 0),
    SeenAccount("pg-main", account_of(TASKS[0]), "postgres", 5, 9, 1, 1),
    SeenAccount("pg-main", account_of(TASKS[1]), "postgres", 4, 8, 2, 2),
    SeenAccount("pg-main", account_of(TASKS[2]), "postgres", 5, 9, 4, 4),
    SeenAccount("pg-main", "alice", "postgres", 5, 9, 12, 0),
    SeenAccount("pg-main", "app_rw", "postgres", 5, 9, 3, 1),
)
KNOWN = Known((DeclaredTarget("pg-main", "target", (OwnAccount("broker", "password", "store:shop"),)),), SEEN)


def act(found: Searched, number: int) -> None:
    """What shard `number` has: a task's account, one that both share, and six agents, some of both."""
    found.action("scout", person="ada", lease=TASKS[number])
    found.lease(TASKS[number], account_of(TASKS[number]))
    for agent in ("scout", *(f"agent-{number + one}" for one in range(6))):
        name = lease_name(bytes((7, number)) + agent.encode().rjust(14, b"\0"))
        found.action(agent, lease=name)
        found.lease(name, "app_rw")
    if number:
        found.action("scout", leased=True)
        found.lease(*found.account_lease(found.made))


def answered(place: Path, *numbers: int, within: Within = "log") -> AccountsAnswer:
    place.mkdir()
    found = Searched(place)
    for number in numbers:
        act(found, number)
    index = found.caught_up()
    try:
        teller = StoryTeller(index, found.ledger, found.find)
        return answered_accounts(teller, AccountsQuestion(target="", within=within), known=KNOWN)
    finally:
        index.close()


@pytest.mark.requirement("ACCOUNT-01", "SEARCH-14")
def test_accounts_of_two_shards_are_those_of_one_ledger_with_the_entries_of_both(tmp_path: Path):
    whole = answered(tmp_path / "whole", 0, 1, within="all")
    shards = {name: answered(tmp_path / name, number) for number, name in enumerate(("a", "b"))}
    told = [joined_accounts(own, shards, {"c": "late"}) for own in ("a", "b")]
    for one in told:
        assert [untimed(row) for row in one.items] == [untimed(row) for row in whole.items]
        assert (one.elsewhere, len(one.shards), one.more) == ({"c": "late"}, 1, 0)
    rows = {(one.name, one.kind): one for one in told[0].items}
    assert (account_of(TASKS[2]), "unknown") in rows
    assert not {(account_of(one), "unknown") for one in TASKS[:2]} & rows.keys()
    shared = rows["app_rw", "shared"]
    assert (shared.actions, len(shared.agents), shared.more_agents, shared.lines) == (14, 5, 3, 3)
    assert shared.agents[0] == AccountUser(name="agent-1", actions=2)


def untimed(row: TargetAccount) -> TargetAccount:
    """A row without times of the ledger, which two ledgers do not have in common."""
    return replace(row, first_at=None, last_at=None)


@pytest.mark.requirement("SEARCH-14")
def test_an_account_that_a_story_has_by_two_names_counts_once(tmp_path: Path):
    items = answered(tmp_path / "a", 0).items
    assert joined_rows("a", {"a": (*items, *items)}) == joined_rows("a", {"a": items})


@pytest.mark.requirement("ACCOUNT-01", "SEARCH-14")
def test_what_one_shard_alone_found_in_a_log_is_told_by_all(tmp_path: Path):
    """A finding is on record in the shard that follows the log."""
    quiet = answered(tmp_path / "a", 0)
    row = next(one for one in quiet.items if one.name == "alice")
    found = replace(row, name="svc", lines=2, past=2)
    shards = {"a": quiet, "b": replace(answered(tmp_path / "b", 1), items=(*quiet.items, found))}
    for own in ("a", "b"):
        told = {one.name: one for one in joined_accounts(own, shards, {}).items}
        assert (told["svc"].lines, told["svc"].past) == (2, 2)
        assert told["alice"].lines == 12

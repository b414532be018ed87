"""Accounts at targets: those of leases as a plain scan of the ledger finds them, with what broker and logs say."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from answerable.api.search_answers import TargetAccount
from answerable.core.attribution.seen_account import OF_LEASES, SeenAccount
from answerable.core.lease.name import account_of, lease_name, lease_of
from answerable.core.lease.own_account import DeclaredTarget, OwnAccount
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.core.search.accounts import ALL_LEASES
from answerable.flows.forensics import list_accounts as listing
from answerable.flows.forensics.answer_questions import answered_accounts, answered_name, answered_story
from answerable.flows.forensics.list_accounts import NOTHING, Known
from answerable.flows.forensics.tell_hits import instant
from answerable.flows.forensics.tell_story import StoryTeller
from answerable.ports.search_process import AccountsQuestion, NameQuestion, StoryQuestion
from tests.worlds.searched import Searched

TASK = lease_name(bytes(15) + b"\xff")


def lived(place: Path) -> Searched:
    """Two agents on accounts of their own for one action, one on an account of a task, two on a shared one, one at a
    target that has no names for accounts, and one whose lease was never issued."""
    found = Searched(place)
    for agent, person in (("scout", "ada"), ("scout", "ada"), ("rover", "bob")):
        found.end(found.action(agent, person=person, leased=True), pg_session="1.2")
        found.lease(*found.account_lease(found.made))
    for _ in range(3):
        found.action("rover", lease=TASK)
        found.lease(TASK, account_of(TASK))
    for number, agent in enumerate(("scout", "rover", "scout")):
        name = lease_name(bytes(14) + bytes((1, number)))
        found.action(agent, lease=name)
        found.lease(name, "app_rw")
    hub = lease_name(bytes(14) + b"\2\2")
    found.action("scout", person="cyd", lease=hub, lease_target="hub")
    found.add(Tag.LEASE, lease=hub, account="", agent="scout", state="issued", target="hub")
    found.action("scout", lease=lease_name(bytes(14) + b"\3\3"))
    return found


def scanned(found: Searched) -> dict[tuple[str, str, str], Counter[str]]:
    """Actions of each agent by target, account and class, without the index."""
    leaves = [(one.tag, leaf_of(one)) for one in found.ledger.replay()]
    accounts = {leaf["lease"]: leaf for tag, leaf in leaves if tag == Tag.LEASE}
    counts: dict[tuple[str, str, str], Counter[str]] = {}
    for _, leaf in (one for one in leaves if one[0] == Tag.INTENT and one[1].get("lease") in accounts):
        lease = str(leaf["lease"])
        account = str(accounts[lease]["account"])
        if lease_of(account) is not None:
            kind = "action" if lease_name(bytes.fromhex(str(leaf["action"]))) == lease else "task"
            key = (str(leaf["lease_target"]), ALL_LEASES, kind)
        else:
            key = (str(leaf["lease_target"]), account, "shared" if account else "unknown")
        counts.setdefault(key, Counter())[str(leaf["agent"])] += 1
    return counts


class Asked:
    def __init__(self, found: Searched) -> None:
        self.index = found.caught_up()
        self.teller = StoryTeller(self.index, found.ledger, found.find)

    def rows(self, known: Known = NOTHING, target: str = "") -> dict[tuple[str, str, str], TargetAccount]:
        answer = answered_accounts(self.teller, AccountsQuestion(target=target), known=known)
        return {(one.target, one.name, one.kind): one for one in answer.items}

    def named(self, name: str, known: Known = NOTHING) -> list[tuple[str, str]]:
        found = answered_name(self.teller, NameQuestion(name=name), known=known).accounts
        story = StoryQuestion(words=(name,), limit=9)
        told = answered_story(self.teller, story, now=0, known=known).accounts
        assert told == found
        return [(one.name, one.kind) for one in found]


@pytest.fixture
def found(tmp_path: Path) -> Searched:
    return lived(tmp_path)


@pytest.fixture
def asked(found: Searched) -> Any:
    made = Asked(found)
    yield made
    made.index.close()


@pytest.mark.requirement("ACCOUNT-01")
def test_accounts_of_leases_are_those_that_a_plain_scan_finds(found: Searched, asked: Asked):
    rows = asked.rows()
    wanted = scanned(found)
    assert {key: {user.name: user.actions for user in one.agents} for key, one in rows.items()} == wanted
    assert {kind for _, _, kind in wanted} == {"action", "task", "shared", "unknown"}
    assert [rows["pg-main", ALL_LEASES, one].accounts for one in ("action", "task")] == [3, 1]
    own = rows["pg-main", ALL_LEASES, "action"]
    assert [(one.name, one.actions) for one in own.people] == [("ada", 2), ("bob", 1)]
    assert rows.keys() == asked.rows(target="pg-main").keys() | asked.rows(target="hub").keys()
    assert not asked.rows(target="elsewhere")


@pytest.mark.requirement("ACCOUNT-01")
def test_a_preview_uses_an_account_and_is_no_action(found: Searched):
    for agent in ("scout", "viewer"):
        found.action(agent, lease=TASK, preview_of="ap-1")
    for target, lease in (("pg-main", ""), ("hub", lease_name(bytes(14) + b"\2\2"))):
        found.action("viewer", lease=lease, lease_target=target, preview_of="ap-1")
    asked = Asked(found)
    rows = asked.rows()
    task, hub = rows["pg-main", ALL_LEASES, "task"], rows["hub", "", "unknown"]
    for one, users in ((task, [("rover", 3)]), (hub, [("scout", 1)])):
        assert (one.actions, [(user.name, user.actions) for user in one.agents]) == (users[0][1], users)
    asked.index.close()


@pytest.mark.requirement("ACCOUNT-01", "ACCOUNT-03")
def test_what_the_broker_and_the_logs_say_is_joined_and_each_class_says_what_to_do(asked: Asked):
    admin = OwnAccount("broker_of_shop", "password", "store:shop")
    seen = (
        SeenAccount("pg-main", "alice", "postgres", 5, 9, 12, 0),
        SeenAccount("pg-main", "app_rw", "postgres", 5, 9, 4, 3),
        SeenAccount("pg-main", "broker_of_shop", "postgres", 5, 9, 8, 0),
        SeenAccount("pg-main", OF_LEASES, "postgres", 5, 9, 30, 0),
        SeenAccount("pg-main", ALL_LEASES, "postgres", 5, 9, 6, 0),
        SeenAccount("pg-main", account_of(TASK), "postgres", 5, 9, 1, 1),
        SeenAccount("pg-main", account_of(lease_name(b"n" * 16)), "postgres", 5, 9, 2, 2),
    )
    known = Known((DeclaredTarget("pg-main", "target", (admin,)), DeclaredTarget("hub", "target")), seen)
    rows = asked.rows(known)
    told = {(name, kind): (one.lines, one.past, one.kept) for (_, name, kind), one in rows.items()}
    assert told == {
        ("alice", "unknown"): (12, 0, ""),
        (ALL_LEASES, "unknown"): (6, 0, ""),
        (account_of(lease_name(b"n" * 16)), "unknown"): (2, 2, ""),
        ("broker_of_shop", "static"): (8, 0, "store:shop"),
        ("app_rw", "shared"): (4, 3, ""),
        ("", "shared"): (0, 0, ""),
        (ALL_LEASES, "action"): (31, 1, ""),
        (ALL_LEASES, "task"): (0, 0, ""),
    }
    assert all("`answerable " in one.advice or "`window: action`" in one.advice for one in rows.values())
    assert "--account alice" in rows["pg-main", "alice", "unknown"].advice
    assert "past the broker" in rows["pg-main", "app_rw", "shared"].advice
    kinds = ("unknown", "unknown", "unknown", "static", "shared", "shared", "task", "action")
    assert tuple(kind for _, _, kind in rows) == kinds
    for name, kind in (("alice", "unknown"), ("broker_of_shop", "static"), ("app_rw", "shared")):
        assert asked.named(name, known) == asked.named(f"account:{name}", known) == [(name, kind)]
    assert {kind for _, kind in asked.named(ALL_LEASES, known)} == {"unknown", "task", "action"}
    assert asked.named(account_of(TASK), known) == [(ALL_LEASES, "task")]
    assert asked.named("scout", known) == []
    assert asked.named("", known) == []


@pytest.mark.requirement("ACCOUNT-01")
def test_where_the_broker_alone_keeps_credentials_to_their_task_the_one_key_is_what_was_used(asked: Asked):
    key = OwnAccount("", "secret", "file")
    rows = asked.rows(Known((DeclaredTarget("pg-main", "broker", (key,)), DeclaredTarget("hub", "nobody"))))
    assert {(where, name, kind): one.actions for (where, name, kind), one in rows.items()} == {
        ("pg-main", "secret", "static"): 9,
        ("hub", "", "static"): 1,
    }
    assert asked.named("app_rw", Known((DeclaredTarget("pg-main", "broker", (key,)),))) == [
        ("secret", "static")
    ]


@pytest.mark.requirement("ACCOUNT-01")
def test_an_erased_person_is_told_by_pseudonym_and_an_answer_is_bounded(
    found: Searched, monkeypatch: pytest.MonkeyPatch
):
    pseudonym = found.pseudonym("Customer:4711", "cyd")
    found.erase("Customer:4711")
    asked = Asked(found)
    try:
        people = [one.name for row in asked.rows().values() for one in row.people]
        assert pseudonym in people
        assert not {"ada", "bob", "cyd"} & {*people}
        monkeypatch.setattr(listing, "ACCOUNTS_MAX", 2)
        answer = answered_accounts(asked.teller, AccountsQuestion(target=""))
        assert (len(answer.items), answer.more, answer.broker) == (2, 2, False)
    finally:
        asked.index.close()


@pytest.mark.requirement("ACCOUNT-01", "ACCOUNT-03")
def test_what_a_followed_log_showed_past_the_broker_is_told_from_the_ledger_and_counts_once(found: Searched):
    shown = {"finding": "f", "kind": "postgres", "target": "pg-main", "line": "0" * 64}
    for number, (verdict, account) in enumerate(
        (
            ("bypass", "svc"),
            ("forged", "svc"),
            ("bypass", account_of(TASK)),
            ("content", "svc"),
            ("phantom", ""),
        )
    ):
        named = {"account": account} if account else {}
        found.add(Tag.LOG_FINDING, verdict=verdict, line_at=1_000 + number, **named, **shown)
    asked = Asked(found)
    rows = asked.rows()
    svc, leases = rows["pg-main", "svc", "unknown"], rows["pg-main", ALL_LEASES, "task"]
    assert (svc.lines, svc.past, svc.seen_first_at, svc.seen_last_at) == (
        2,
        2,
        instant(1_000),
        instant(1_001),
    )
    assert sum(one.past for key, one in rows.items() if key[1] == ALL_LEASES) == 1, leases
    assert asked.named("svc") == [("svc", "unknown")]
    # Whoever kept what the whole log says has these lines among them.
    known = Known(seen=(SeenAccount("pg-main", "svc", "postgres", 900, 2_000, 9, 4),))
    again = asked.rows(known)["pg-main", "svc", "unknown"]
    assert (again.lines, again.past, again.seen_first_at) == (9, 4, instant(900))
    asked.index.close()

"""What is kept of the accounts in a target's log: names, times and numbers, the same however often it is read."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from answerable.core.attribution import seen_account
from answerable.core.attribution.answer import Answer
from answerable.core.attribution.log_line import LogLine
from answerable.core.attribution.seen_account import OF_LEASES, AccountsSeen, SeenAccount, joined
from answerable.core.lease.name import account_of, lease_name

pytestmark = pytest.mark.requirement("ACCOUNT-02")
OWN = account_of(lease_name(bytes(16)))
OURS, BYPASS = Answer(verdict="ours", why=""), Answer(verdict="bypass", why="")
LATER = Answer(verdict="later", why="")


def line(account: str, at: int = 5, *, login: str = "") -> LogLine:
    return LogLine(1, at, account, (("pg_session", "secret session"),), "secret label", login)


def test_only_names_times_and_numbers_of_lines_are_kept():
    seen = AccountsSeen()
    for one, answer in (
        (line("alice", 7), None),
        (line("alice", 5), None),
        (line("alice", 0), None),
        (line("app_rw"), BYPASS),
        (line("app_rw"), OURS),
        (line("", login="deploy"), None),
        (line(""), None),
        (line(OWN), OURS),
        (line(OWN), BYPASS),
        (line(OWN), LATER),
        (line("ans_*"), None),
        (line("x" * 256), None),
    ):
        seen.note(one, answer)
    rows = seen.rows("shop-db", "postgres")
    assert {(one.name, one.first, one.last, one.lines, one.past) for one in rows} == {
        ("alice", 5, 7, 3, 0),
        ("app_rw", 5, 5, 2, 1),
        ("deploy", 5, 5, 1, 0),
        ("ans_*", 5, 5, 1, 0),
        (OF_LEASES, 5, 5, 1, 0),
        (OWN, 5, 5, 1, 1),
    }
    assert seen.left_out == 1
    assert b"secret" not in msgspec.json.encode(rows)


def test_readings_joined_in_any_order_and_any_number_are_the_same():
    readings = [
        [SeenAccount("a", "x", "postgres", 5, 9, 3, 0), SeenAccount("a", "y", "postgres", 0, 0, 1, 0)],
        [SeenAccount("a", "x", "postgres", 2, 4, 7, 2)],
        [SeenAccount("b", "x", "redis", 1, 1, 1, 1), SeenAccount("a", "y", "postgres", 3, 3, 1, 0)],
    ]
    whole = joined(*readings)
    assert whole == (
        [
            SeenAccount("a", "x", "postgres", 2, 9, 7, 2),
            SeenAccount("a", "y", "postgres", 3, 3, 1, 0),
            SeenAccount("b", "x", "redis", 1, 1, 1, 1),
        ],
        0,
    )
    for order in itertools.permutations(readings):
        assert joined(*order) == joined(*order, *order) == joined(whole[0], *order) == whole


def test_of_too_many_accounts_those_with_the_most_lines_stay(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(seen_account, "ACCOUNTS_MAX", 2)
    monkeypatch.setattr(seen_account, "TOO_MANY", 2)
    seen = AccountsSeen(most=2)
    for name in ("busy", "busy", "often", "often", *map(str, range(6))):
        seen.note(line(name), None)
    rows = seen.rows("a", "postgres")
    assert {"busy", "often"} <= {one.name for one in rows}
    assert len(rows) + seen.left_out == 8
    kept, dropped = joined(rows, [SeenAccount("a", "more", "postgres", 1, 1, 1, 0)])
    assert ([one.name for one in kept], dropped) == (["busy", "often"], len(rows) - 1)

"""The contract suite of what people opened, on every adapter."""

from __future__ import annotations

import multiprocessing
import sqlite3
from functools import partial
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from answerable.adapters.sqlite import SqliteApprovalRegister, SqliteOpeningRegister, SqliteStore
from answerable.adapters.sqlite.approval_rows import body_of
from answerable.adapters.sqlite.migrations import MIGRATIONS
from answerable.core.approval.view_challenges import nonce_digest
from answerable.errors import Unavailable
from answerable.testing.clock import START
from answerable.testing.contracts.approval_register import approved
from answerable.testing.contracts.challenge_register import (
    ENDS,
    LOOKS_MAX,
    OF_ONE_MAX,
    OF_UNKNOWN_MAX,
    DurableOpeningRegisterContract,
    digest_of,
    patient,
    say,
    take,
)
from answerable.testing.samples import approval

pytestmark = [pytest.mark.requirement("PACE-01"), pytest.mark.requirement("PACE-03")]


class TestSqliteOpeningRegister(DurableOpeningRegisterContract):
    def opened(self, tmp_path: Path) -> SqliteOpeningRegister:
        store = SqliteStore.open(tmp_path / "state" / "registers.db")
        return SqliteOpeningRegister(
            store, of_one_max=OF_ONE_MAX, of_unknown_max=OF_UNKNOWN_MAX, looks_max=LOOKS_MAX
        )


def test_whoever_reads_the_file_has_nothing_to_answer_with(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "registers.db")
    nonce = bytes(range(32))
    SqliteOpeningRegister(store).give(nonce_digest(nonce), about="a-1", to="bob", at=START, ends=ENDS)
    store.close()
    for file in tmp_path.iterdir():
        assert nonce not in file.read_bytes()


def test_a_file_from_before_is_taken_over_with_its_answers(tmp_path: Path) -> None:
    [before] = [
        number for number, one in enumerate(MIGRATIONS) if any("TABLE nonces" in text for text in one)
    ]
    old = SqliteStore.open(tmp_path / "old.db", migrations=MIGRATIONS[:before])
    kept = approved(approval())
    assert b"opened_at" not in body_of(kept)
    SqliteApprovalRegister(old).add(kept)
    old.close()
    store = SqliteStore.open(tmp_path / "old.db")
    assert SqliteApprovalRegister(store).find(kept.id) == kept
    assert say(SqliteOpeningRegister(store), "a-1") is None


def test_what_is_over_leaves_the_file(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "registers.db")
    register = SqliteOpeningRegister(store)
    for number in range(5):
        register.give(digest_of(number), about=f"a-{number}", to="bob", at=START, ends=ENDS)
    register.give(digest_of(5), about="a-5", to="bob", at=ENDS, ends=ENDS + 1_000)
    assert store.rows("SELECT about FROM nonces") == [("a-5",)]
    assert take(register, 5, about="a-5", now=ENDS) == ENDS
    say(register, "a-1")
    say(register, "a-2", at=START + 3_600_000, since=START)
    assert store.rows("SELECT what FROM said") == [("a-2",)]


def hasty(place: Path, person: int, ready: Barrier, told: Queue[tuple[int, int]]) -> None:
    """A process in which somebody says yes without end, and takes every nonce there is."""
    register = SqliteOpeningRegister(SqliteStore.open(place))
    # Three interpreters start on whatever the machine has left.
    ready.wait(300)
    said = [patient(partial(say, register, f"process {person}, {one}")) for one in range(8)]
    taken = [patient(partial(take, register, one)) for one in range(8)]
    told.put((said.count(None), taken.count(START)))


def test_processes_that_race_for_real_claim_no_more_and_take_nothing_twice(tmp_path: Path) -> None:
    place = tmp_path / "registers.db"
    register = SqliteOpeningRegister(SqliteStore.open(place))
    for number in range(8):
        register.give(digest_of(number), about="a-1", to="bob", at=START, ends=ENDS)
    spawn = multiprocessing.get_context("spawn")
    ready, told = spawn.Barrier(3), spawn.Queue()
    processes = [spawn.Process(target=hasty, args=(place, person, ready, told)) for person in range(3)]
    for one in processes:
        one.start()
    found = [told.get(timeout=300) for _ in processes]
    for one in processes:
        one.join(60)
    assert sum(claims for claims, _ in found) == 3
    assert sum(taken for _, taken in found) == 8


@pytest.mark.parametrize("table", ["nonces", "looks", "said"])
def test_a_file_that_lacks_its_tables_gives_takes_and_counts_nothing(table: str, tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "registers.db")
    register = SqliteOpeningRegister(store)
    with sqlite3.connect(tmp_path / "registers.db") as other:
        other.execute(f"DROP TABLE {table}")
    other.close()
    calls = {
        "nonces": lambda: take(register, 0),
        "looks": lambda: register.looked("a-1", "bob"),
        "said": lambda: say(register, "a-1"),
    }
    with pytest.raises(Unavailable):
        calls[table]()

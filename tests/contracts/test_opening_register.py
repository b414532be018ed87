"""The contract suite of what people opened, on every adapter."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from answerable.adapters.memory.openings import MemoryOpeningRegister
from answerable.adapters.sqlite import SqliteOpeningRegister, SqliteStore
from answerable.core.approval.openings import nonce_digest
from answerable.errors import Unavailable
from answerable.testing.clock import START
from answerable.testing.contracts.opening_register import (
    ENDS,
    LOOKS_MAX,
    NONCES_MAX,
    DurableOpeningRegisterContract,
    OpeningRegisterContract,
    digest_of,
    say,
    take,
)

pytestmark = [pytest.mark.requirement("PACE-01"), pytest.mark.requirement("PACE-03")]


class TestMemoryOpeningRegister(OpeningRegisterContract):
    def opened(self, tmp_path: Path) -> MemoryOpeningRegister:
        return MemoryOpeningRegister(nonces_max=NONCES_MAX, looks_max=LOOKS_MAX)


class TestSqliteOpeningRegister(DurableOpeningRegisterContract):
    def opened(self, tmp_path: Path) -> SqliteOpeningRegister:
        store = SqliteStore.open(tmp_path / "state" / "registers.db")
        return SqliteOpeningRegister(store, nonces_max=NONCES_MAX, looks_max=LOOKS_MAX)


def test_whoever_reads_the_file_has_nothing_to_answer_with(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "registers.db")
    nonce = bytes(range(32))
    SqliteOpeningRegister(store).give(nonce_digest(nonce), about="a-1", to="bob", at=START, ends=ENDS)
    store.close()
    for file in tmp_path.iterdir():
        assert nonce not in file.read_bytes()


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

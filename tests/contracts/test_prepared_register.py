"""The contract suite of prepared objects, and what only a file shared by processes can get wrong."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from answerable.adapters.sqlite import SqlitePreparedRegister, SqliteStore
from answerable.ports.prepared_register import PreparedRegister
from answerable.testing.clock import START
from answerable.testing.contracts.prepared_register import (
    DurablePreparedRegisterContract,
    sample_prepared,
)

pytestmark = pytest.mark.requirement("PREPARE-07")


def store_in(directory: Path) -> SqliteStore:
    return SqliteStore.open(directory / "state" / "registers.db")


class TestSqlitePreparedRegister(DurablePreparedRegisterContract):
    def opened(self, tmp_path: Path) -> SqlitePreparedRegister:
        return SqlitePreparedRegister(store_in(tmp_path))

    def stored(self, register: PreparedRegister) -> None:
        assert isinstance(register, SqlitePreparedRegister)
        stored(register)


def stored(register: SqlitePreparedRegister) -> None:
    with register._store.uses.write():
        pass


def test_what_another_process_used_and_stored_is_used_here(tmp_path):
    first, second = (SqlitePreparedRegister(store_in(tmp_path)) for _ in range(2))
    first.add(sample_prepared(), waiting_max=9)
    assert second.get(sample_prepared().id) == sample_prepared()
    assert second.use(sample_prepared().id, by="a-1", now=START)
    stored(second)
    assert not first.use(sample_prepared().id, by="a-2", now=START)


def test_of_what_was_used_the_file_has_no_bytes(tmp_path):
    register = SqlitePreparedRegister(store_in(tmp_path))
    one = sample_prepared(text='{"only":"here"}')
    register.add(one, waiting_max=9)
    register.use(one.id, by="a-1", now=START)
    stored(register)
    connection = sqlite3.connect(tmp_path / "state" / "registers.db")
    assert connection.execute("SELECT content FROM prepared").fetchall() == [(b"",)]
    connection.close()

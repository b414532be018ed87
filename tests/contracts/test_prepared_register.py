"""The contract suite of prepared objects, and what only a file shared by processes can get wrong."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from answerable.adapters.memory.prepared import MemoryPreparedRegister
from answerable.adapters.sqlite import SqlitePreparedRegister, SqliteStore
from answerable.errors import Unavailable
from answerable.testing.clock import START
from answerable.testing.contracts.prepared_register import (
    DurablePreparedRegisterContract,
    PreparedRegisterContract,
    sample_prepared,
)

pytestmark = pytest.mark.requirement("PREPARE-07")


def store_in(directory: Path) -> SqliteStore:
    return SqliteStore.open(directory / "state" / "registers.db")


class TestMemoryPreparedRegister(PreparedRegisterContract):
    def opened(self, tmp_path: Path) -> MemoryPreparedRegister:
        return MemoryPreparedRegister()


class TestSqlitePreparedRegister(DurablePreparedRegisterContract):
    def opened(self, tmp_path: Path) -> SqlitePreparedRegister:
        return SqlitePreparedRegister(store_in(tmp_path))


def test_what_another_process_used_is_used_here(tmp_path):
    first, second = (SqlitePreparedRegister(store_in(tmp_path)) for _ in range(2))
    first.add(sample_prepared(), waiting_max=9)
    assert second.get(sample_prepared().id) == sample_prepared()
    assert second.use(sample_prepared().id, by="a-1", now=START)
    assert not first.use(sample_prepared().id, by="a-2", now=START)


def test_of_what_was_used_the_file_has_no_bytes(tmp_path):
    register = SqlitePreparedRegister(store_in(tmp_path))
    one = sample_prepared(text='{"only":"here"}')
    register.add(one, waiting_max=9)
    register.use(one.id, by="a-1", now=START)
    connection = sqlite3.connect(tmp_path / "state" / "registers.db")
    assert connection.execute("SELECT content FROM prepared").fetchall() == [(b"",)]
    connection.close()


SPOILT = {
    "other bytes": "content = x'7b7d'",
    "bytes that are no text": "content = x'ff'",
    "used, with its bytes": "used_by = 'a-1'",
    "another digest": 'body = CAST(replace(CAST(body AS TEXT), \'"digest":"\', \'"digest":"0\') AS BLOB)',
    "no object": "body = x'5b5d'",
    "no JSON": "body = x'00'",
    "a member too many": "body = CAST(replace(CAST(body AS TEXT), '{', '{\"x\":1,') AS BLOB)",
    "another id": "id = 'other'",
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_row_that_is_not_what_was_kept_makes_the_register_unavailable(how, tmp_path):
    store = store_in(tmp_path)
    one = sample_prepared()
    SqlitePreparedRegister(store).add(one, waiting_max=9)
    store.close()
    connection = sqlite3.connect(tmp_path / "state" / "registers.db")
    connection.execute(f"UPDATE prepared SET {SPOILT[how]}")
    connection.commit()
    connection.close()
    register = SqlitePreparedRegister(store_in(tmp_path))
    with pytest.raises(Unavailable) as raised:
        register.named(one.agent, one.digest)
    assert raised.value.code == "register.corrupt"

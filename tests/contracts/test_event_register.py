"""The contract suite of streams of events, and what only a file can get wrong."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from answerable.adapters.memory.events import MemoryEventRegister
from answerable.adapters.sqlite import SqliteEventRegister, SqliteStore
from answerable.errors import Unavailable
from answerable.testing.contracts.event_register import (
    DurableEventRegisterContract,
    EventRegisterContract,
    sample_stream,
)

pytestmark = pytest.mark.requirement("SSF-02")


def store_in(directory: Path) -> SqliteStore:
    return SqliteStore.open(directory / "state" / "registers.db")


class TestMemoryEventRegister(EventRegisterContract):
    def opened(self, tmp_path: Path) -> MemoryEventRegister:
        return MemoryEventRegister()


class TestSqliteEventRegister(DurableEventRegisterContract):
    def opened(self, tmp_path: Path) -> SqliteEventRegister:
        return SqliteEventRegister(store_in(tmp_path))


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b"{", b'{"method":"push","status":"odd","since":{}}', b'{"method":"push"}']
)
def test_a_stream_that_cannot_be_read_makes_the_register_unavailable(tmp_path, body):
    SqliteEventRegister(store_in(tmp_path)).put(sample_stream())
    connection = sqlite3.connect(tmp_path / "state" / "registers.db")
    connection.execute("UPDATE event_streams SET body = ?", (body,))
    connection.commit()
    connection.close()
    with pytest.raises(Unavailable) as raised:
        SqliteEventRegister(store_in(tmp_path)).streams()
    assert raised.value.code == "register.corrupt"

"""What begins and what does not while the registers cannot be written."""

from __future__ import annotations

import sqlite3

import pytest

from answerable.adapters.sqlite import SqliteRegisterRoom
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused
from answerable.testing.builders import Bench
from answerable.testing.registers import fresh_store

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("FULLDISK-01")
async def test_no_action_begins_while_the_registers_cannot_be_written_and_the_next_does_once_they_can_be():
    bench, store = await Bench().registered(), fresh_store()
    await bench.issue()
    authority = bench.authority
    authority.room = SqliteRegisterRoom(
        store, holds=authority.holds, revocations=authority.revocations, mandates=authority.mandates
    )
    await bench.act()
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    store.room.failed(full, "the disk is full")
    with pytest.raises(Refused) as refused:
        await bench.act()
    assert refused.value.code == "register.no_room"
    assert authority.room.look() == ""
    await bench.act()
    assert len(bench.entries(Tag.INTENT)) == len(bench.upstream.effects) == 2

"""The contract suite of what is kept of policy sets, and what only a file can get wrong."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from answerable.adapters.memory.policies import MemoryPolicyRegister
from answerable.adapters.sqlite import SqlitePolicyRegister, SqliteStore
from answerable.core.registry.policy_record import PolicyRecord
from answerable.errors import Unavailable
from answerable.testing.contracts.policy_register import (
    DurablePolicyRegisterContract,
    PolicyRegisterContract,
)

pytestmark = pytest.mark.requirement("PUB-06")


def store_in(directory: Path) -> SqliteStore:
    return SqliteStore.open(directory / "state" / "registers.db")


class TestMemoryPolicyRegister(PolicyRegisterContract):
    def opened(self, tmp_path: Path) -> MemoryPolicyRegister:
        return MemoryPolicyRegister()


class TestSqlitePolicyRegister(DurablePolicyRegisterContract):
    def opened(self, tmp_path: Path) -> SqlitePolicyRegister:
        return SqlitePolicyRegister(store_in(tmp_path))


def test_what_another_process_put_is_found_at_once(tmp_path):
    here, there = (SqlitePolicyRegister(store_in(tmp_path)) for _ in range(2))
    record = PolicyRecord(kind="proposal", id="p", at=1, body=b"{}")
    here.put(record)
    assert there.find("proposal", "p") == record
    there.remove("proposal", "p")
    assert here.all("proposal") == ()


def test_a_row_of_no_kind_makes_the_register_unavailable(tmp_path):
    SqlitePolicyRegister(store_in(tmp_path)).put(PolicyRecord(kind="kept", id="k", at=1, body=b"{}"))
    connection = sqlite3.connect(tmp_path / "state" / "registers.db")
    connection.execute("UPDATE policy_records SET kind = 'odd'")
    connection.commit()
    connection.close()
    with pytest.raises(Unavailable) as raised:
        SqlitePolicyRegister(store_in(tmp_path)).all("odd")
    assert raised.value.code == "register.corrupt"

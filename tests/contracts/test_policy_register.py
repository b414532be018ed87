"""The contract suite of what is kept of policy sets, and what only a file can get wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.adapters.sqlite import SqlitePolicyRegister, SqliteStore
from answerable.testing.contracts.policy_register import (
    DurablePolicyRegisterContract,
    sample_proposal,
)

pytestmark = pytest.mark.requirement("PUB-06")


def store_in(directory: Path) -> SqliteStore:
    return SqliteStore.open(directory / "state" / "registers.db")


class TestSqlitePolicyRegister(DurablePolicyRegisterContract):
    def opened(self, tmp_path: Path) -> SqlitePolicyRegister:
        return SqlitePolicyRegister(store_in(tmp_path))


def test_what_another_process_put_is_found_at_once(tmp_path):
    here, there = (SqlitePolicyRegister(store_in(tmp_path)) for _ in range(2))
    record = sample_proposal("p")
    here.put(record)
    assert there.find("proposal", "p") == record
    there.remove("proposal", "p")
    assert here.all("proposal") == ()

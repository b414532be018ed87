"""The contract suite of a broker's leases."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from answerable.adapters.memory.leases import MemoryLeaseRegister
from answerable.adapters.sqlite.leases import SqliteLeaseRegister
from answerable.errors import Unavailable
from answerable.testing.contracts.lease_register import (
    DurableLeaseRegisterContract,
    LeaseRegisterContract,
    sample_lease,
)

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.ports.lease_register import LeaseRegister

pytestmark = pytest.mark.requirement("LEASE-01")


class TestMemoryLeaseRegister(LeaseRegisterContract):
    def opened(self, tmp_path: Path) -> MemoryLeaseRegister:
        return MemoryLeaseRegister()


class TestSqliteLeaseRegister(DurableLeaseRegisterContract):
    def opened(self, tmp_path: Path) -> SqliteLeaseRegister:
        return SqliteLeaseRegister(tmp_path / "leases.db")

    def closed(self, register: LeaseRegister) -> None:
        assert isinstance(register, SqliteLeaseRegister)
        register.close()


@pytest.mark.parametrize("body", [b"{}", b"not json", b'{"name": 1}'])
def test_a_lease_that_cannot_be_read_is_never_one_that_ended(tmp_path, body):
    register = SqliteLeaseRegister(tmp_path / "leases.db")
    register.put([sample_lease()])
    with sqlite3.connect(tmp_path / "leases.db") as connection:
        connection.execute("UPDATE leases SET body = ?", (body,))
    for read in (lambda: register.get(sample_lease().name), lambda: list(register.open_leases())):
        with pytest.raises(Unavailable) as failed:
            read()
        assert failed.value.code == "register.corrupt"

"""The contract suite of a broker's leases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from answerable.adapters.sqlite.leases import SqliteLeaseRegister
from answerable.testing.contracts.lease_register import (
    DurableLeaseRegisterContract,
)

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.ports.lease_register import LeaseRegister

pytestmark = pytest.mark.requirement("LEASE-01")


class TestSqliteLeaseRegister(DurableLeaseRegisterContract):
    def opened(self, tmp_path: Path) -> SqliteLeaseRegister:
        return SqliteLeaseRegister(tmp_path / "leases.db")

    def closed(self, register: LeaseRegister) -> None:
        assert isinstance(register, SqliteLeaseRegister)
        register.close()

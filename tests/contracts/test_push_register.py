"""The contract suite of devices that are told."""

from __future__ import annotations

import pytest

from answerable.adapters.sqlite import SqlitePushRegister, SqliteStore
from answerable.testing.contracts.push_register import DurablePushRegisterContract

pytestmark = pytest.mark.requirement("CHANNEL-13")


class TestSqlitePushRegister(DurablePushRegisterContract):
    def opened(self, tmp_path):
        return SqlitePushRegister(SqliteStore.open(tmp_path / "state" / "registers.db"))

"""The contract suite of drills."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from answerable.adapters.sqlite import SqliteDrillRegister, SqliteStore
from answerable.testing.contracts.drill_register import (
    DurableDrillRegisterContract,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.requirement("DRILL-01")


class TestSqliteDrillRegister(DurableDrillRegisterContract):
    def opened(self, tmp_path: Path) -> SqliteDrillRegister:
        return SqliteDrillRegister(SqliteStore.open(tmp_path / "registers.db"))

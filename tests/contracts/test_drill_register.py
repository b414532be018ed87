"""The contract suite of drills."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from answerable.adapters.memory.drills import MemoryDrillRegister
from answerable.adapters.sqlite import SqliteDrillRegister, SqliteStore
from answerable.errors import Unavailable
from answerable.testing.contracts.drill_register import (
    DrillRegisterContract,
    DurableDrillRegisterContract,
    sample_drill,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.requirement("DRILL-01")


class TestMemoryDrillRegister(DrillRegisterContract):
    def opened(self, tmp_path: Path) -> MemoryDrillRegister:
        return MemoryDrillRegister()


class TestSqliteDrillRegister(DurableDrillRegisterContract):
    def opened(self, tmp_path: Path) -> SqliteDrillRegister:
        return SqliteDrillRegister(SqliteStore.open(tmp_path / "registers.db"))


@pytest.mark.parametrize(
    ("column", "value"), [("kind", "'other'"), ("name", "'No Name'"), ("came_of_it", "x'7b7d'")]
)
def test_a_drill_that_cannot_be_read_is_never_one_that_passed(tmp_path, column, value):
    store = SqliteStore.open(tmp_path / "registers.db")
    register = SqliteDrillRegister(store)
    register.put([sample_drill()])
    with store.write() as connection:
        connection.execute(f"UPDATE drills SET {column} = {value}")
    with pytest.raises(Unavailable) as raised:
        register.all()
    assert raised.value.code == "register.corrupt"

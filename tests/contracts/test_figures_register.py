"""Figures that were counted, kept in memory and in SQLite."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.adapters.sqlite import SqliteFiguresRegister, SqliteStore
from answerable.testing.contracts.figures_register import (
    DurableFiguresRegisterContract,
)


@pytest.mark.requirement("STAT-02")
class TestSqliteFiguresRegister(DurableFiguresRegisterContract):
    def opened(self, tmp_path: Path) -> SqliteFiguresRegister:
        return SqliteFiguresRegister(SqliteStore.open(tmp_path / "registers.db"))

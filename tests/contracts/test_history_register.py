"""What trackers counted, kept in memory and in SQLite."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.adapters.sqlite import SqliteHistoryRegister, SqliteStore
from answerable.core.decision.tally import Steps, Tally, decoded
from answerable.testing.contracts.history_register import (
    DurableHistoryRegisterContract,
)


@pytest.mark.requirement("HIST-06")
class TestSqliteHistoryRegister(DurableHistoryRegisterContract):
    def opened(self, tmp_path: Path) -> SqliteHistoryRegister:
        return SqliteHistoryRegister(SqliteStore.open(tmp_path / "registers.db"))


@pytest.mark.requirement("HIST-06")
@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b'["t",[1,2],[1],1]',
        b'["t",[],[],0]',
        b'["t",[2,1],[1,1],2]',
        b'["t",[1],[1],2]',
        b'["t",[1],[-1],-1]',
        b'["x",1]',
        b'["b",1,"tired"]',
        b'["s",["a"],1]',
    ],
)
def test_what_no_version_of_ours_kept_is_not_read(text: bytes) -> None:
    assert decoded(text) is None
    assert decoded(b'["t",[1,3],[2,4],6]') == Tally((1, 3), (2, 4), 6)
    assert decoded(b'["s",[1,-1],3]') == Steps((1, -1), 3)

"""The contract suite of streams of events, and what only a file can get wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.adapters.sqlite import SqliteEventRegister, SqliteStore
from answerable.testing.contracts.event_register import (
    DurableEventRegisterContract,
)

pytestmark = pytest.mark.requirement("SSF-02")


def store_in(directory: Path) -> SqliteStore:
    return SqliteStore.open(directory / "state" / "registers.db")


class TestSqliteEventRegister(DurableEventRegisterContract):
    def opened(self, tmp_path: Path) -> SqliteEventRegister:
        return SqliteEventRegister(store_in(tmp_path))

"""The contract suite of issued tokens, on memory and on a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.adapters.memory.tokens import MemoryTokenRegister
from answerable.adapters.sqlite import SqliteStore, SqliteTokenRegister
from answerable.testing.contracts.token_register import DurableTokenRegisterContract, TokenRegisterContract
from answerable.testing.entropy import SeededEntropy

pytestmark = pytest.mark.requirement("REVOKE-08")


class TestMemoryTokenRegister(TokenRegisterContract):
    def opened(self, tmp_path: Path) -> MemoryTokenRegister:
        return MemoryTokenRegister(entropy=SeededEntropy("places"))


class TestSqliteTokenRegister(DurableTokenRegisterContract):
    def opened(self, tmp_path: Path) -> SqliteTokenRegister:
        store = SqliteStore.open(tmp_path / "registers.db")
        return SqliteTokenRegister(store, entropy=SeededEntropy("places"))

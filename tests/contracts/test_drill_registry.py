"""The contract suites on the registers in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.adapters.memory.registers import (
    MemoryRegistryStore,
)
from answerable.testing.contracts.registry_store import RegistryStoreContract

pytestmark = pytest.mark.requirement("STORE-01")


class TestMemoryRegistryStore(RegistryStoreContract):
    def opened(self, tmp_path: Path) -> MemoryRegistryStore:
        return MemoryRegistryStore()

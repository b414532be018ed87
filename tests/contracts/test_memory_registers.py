"""The contract suites on the registers in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.adapters.memory.registers import (
    MemoryApprovalRegister,
    MemoryMandateRegister,
    MemoryRegistryStore,
)
from answerable.testing.contracts.approval_register import ApprovalRegisterContract
from answerable.testing.contracts.mandate_register import MandateRegisterContract
from answerable.testing.contracts.registry_store import RegistryStoreContract

pytestmark = pytest.mark.requirement("STORE-01")


class TestMemoryMandateRegister(MandateRegisterContract):
    def opened(self, tmp_path: Path) -> MemoryMandateRegister:
        return MemoryMandateRegister()


class TestMemoryApprovalRegister(ApprovalRegisterContract):
    def opened(self, tmp_path: Path) -> MemoryApprovalRegister:
        return MemoryApprovalRegister()


class TestMemoryRegistryStore(RegistryStoreContract):
    def opened(self, tmp_path: Path) -> MemoryRegistryStore:
        return MemoryRegistryStore()

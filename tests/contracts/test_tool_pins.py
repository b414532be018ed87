"""The contract suite of pinned tools, and what only a file shared by processes can get wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.adapters.memory.tool_pins import MemoryToolPinRegister
from answerable.adapters.sqlite import SqliteStore, SqliteToolPinRegister
from answerable.errors import Malformed, Unavailable
from answerable.testing.contracts.tool_pins import (
    DurableToolPinRegisterContract,
    ToolPinRegisterContract,
    sample_pin,
)

pytestmark = pytest.mark.requirement("TOOL-04")


def store_in(directory: Path) -> SqliteStore:
    return SqliteStore.open(directory / "state" / "registers.db")


class TestMemoryToolPinRegister(ToolPinRegisterContract):
    def opened(self, tmp_path: Path) -> MemoryToolPinRegister:
        return MemoryToolPinRegister()


class TestSqliteToolPinRegister(DurableToolPinRegisterContract):
    def opened(self, tmp_path: Path) -> SqliteToolPinRegister:
        return SqliteToolPinRegister(store_in(tmp_path))


def test_a_pin_put_by_another_process_is_in_force_here_at_the_next_refresh(tmp_path):
    here, there = store_in(tmp_path), store_in(tmp_path)
    register = SqliteToolPinRegister(here)
    SqliteToolPinRegister(there).put(sample_pin(), over="")
    assert register.current("crm", "get_case") is None
    assert here.refresh()
    assert register.current("crm", "get_case") == sample_pin()


def test_who_was_not_quick_enough_sees_the_other_processes_pin_at_once(tmp_path):
    first, second = (SqliteToolPinRegister(store_in(tmp_path)) for _ in range(2))
    first.put(sample_pin(), over="")
    with pytest.raises(Malformed) as raised:
        second.put(sample_pin("Sends a case", at=1), over="")
    assert raised.value.code == "tool.pin_outdated"
    assert second.current("crm", "get_case") == sample_pin()


def test_a_failing_file_is_unavailable_and_what_is_in_force_stays(tmp_path):
    store = store_in(tmp_path)
    register = SqliteToolPinRegister(store)
    register.put(sample_pin(), over="")
    store.close()
    with pytest.raises(Unavailable):
        register.put(sample_pin("Sends a case", at=1), over=sample_pin().definition)
    assert register.current("crm", "get_case") == sample_pin()

"""The contract suite of duties, and what only a file shared by processes can get wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.adapters.sqlite import SqliteDutyRegister, SqliteStore
from answerable.errors import Unavailable
from answerable.testing.clock import START
from answerable.testing.contracts.duty_register import (
    BOB,
    DELEGATIONS_MAX,
    WAITING,
    DurableDutyRegisterContract,
    sample_delegation,
)

pytestmark = pytest.mark.requirement("DUTY-03")


def store_in(directory: Path) -> SqliteStore:
    return SqliteStore.open(directory / "state" / "registers.db")


class TestSqliteDutyRegister(DurableDutyRegisterContract):
    def opened(self, tmp_path: Path) -> SqliteDutyRegister:
        return SqliteDutyRegister(store_in(tmp_path), delegations_max=DELEGATIONS_MAX)


def test_what_another_process_did_counts_here_at_once_or_at_the_next_refresh(tmp_path):
    here, there = store_in(tmp_path), store_in(tmp_path)
    first, second = SqliteDutyRegister(here), SqliteDutyRegister(there)
    assert second.tell(WAITING, "pay", 1, START)
    assert not first.tell(WAITING, "pay", 1, START)
    second.view(WAITING, BOB, START)
    second.delegate(sample_delegation())
    assert here.refresh()
    assert first.first_view(WAITING) == START
    assert first.find(sample_delegation().id) == sample_delegation()
    assert second.end(sample_delegation().id, START)
    assert not first.end(sample_delegation().id, START)
    assert first.delegations() == ()


def test_a_closed_file_takes_and_grants_nothing(tmp_path):
    store = store_in(tmp_path)
    register = SqliteDutyRegister(store)
    store.close()
    for call in (
        lambda: register.tell(WAITING, "pay", 0, START),
        lambda: register.view(WAITING, BOB, START),
        lambda: register.delegate(sample_delegation()),
        lambda: register.end(sample_delegation().id, START),
    ):
        with pytest.raises(Unavailable):
            call()

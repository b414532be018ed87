"""The contract suite of holds, and what only a file can get wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from answerable.adapters.sqlite import SqliteHoldRegister, SqliteRevocationRegister, SqliteStore
from answerable.core.containment.hold import holdable
from answerable.core.mandate.revocation import Revocation, RevocationTarget
from answerable.errors import Unavailable
from answerable.testing.clock import ManualClock
from answerable.testing.contracts.hold_register import (
    NOW,
    SCOUT,
    DurableHoldRegisterContract,
    sample_hold,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.requirement("HOLD-01")


def opened(directory: Path) -> tuple[SqliteStore, SqliteHoldRegister, SqliteRevocationRegister]:
    """As one process has it, with a clock that stands still: it sees what the shared number tells, and no more."""
    store = SqliteStore.open(directory / "registers.db")
    revocations = SqliteRevocationRegister(store, clock=ManualClock())
    return store, SqliteHoldRegister(store, revocations), revocations


class TestSqliteHoldRegister(DurableHoldRegisterContract):
    def opened(self, tmp_path: Path) -> tuple[SqliteHoldRegister, SqliteRevocationRegister]:
        return opened(tmp_path)[1:]


def test_a_failing_file_is_unavailable_and_never_an_answer(tmp_path):
    store, register, _ = opened(tmp_path)
    register.place(sample_hold())
    store.close()
    for ask in (
        lambda: register.place(sample_hold(2)),
        lambda: register.replace(sample_hold(), was=sample_hold()),
        lambda: register.put_back([sample_hold(3)]),
        lambda: register.get(sample_hold().id),
        register.all,
        register.unrecorded,
        lambda: register.is_recorded(sample_hold().id),
    ):
        with pytest.raises(Unavailable):
            ask()


def test_ten_thousand_standing_holds_are_found_each_by_its_name_after_a_restart(tmp_path):
    _, register, _ = opened(tmp_path)
    many = [sample_hold(number, holdable("agent", f"agent-{number}")) for number in range(10_000)]
    assert register.put_back(many) == len(many)
    _, again, _ = opened(tmp_path)
    assert all(again.find((one.what,), NOW) == one for one in many)
    assert again.find((SCOUT,), NOW) is None


def test_what_was_taken_over_is_another_epoch_also_where_what_follows_it_cannot_be_read(tmp_path):
    _, _, revocations = opened(tmp_path)
    faults = iter([False, True])

    def follower() -> bool:
        if next(faults, False):
            raise Unavailable("the file cannot be read", code="register.unavailable", port="hold_register")
        return False

    revocations.follow(follower)
    before = revocations.epoch()
    _, _, other = opened(tmp_path)
    other.add(Revocation(what=RevocationTarget("agent", "scout"), at=NOW, by="ann", reason=""))
    with pytest.raises(Unavailable):
        revocations.epoch()
    assert revocations.epoch() != before
    assert revocations.find((RevocationTarget("agent", "scout"),)) is not None

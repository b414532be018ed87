"""Histories over crashes of real files: a log on disk, registers in SQLite, and whoever takes parts of them away."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from answerable.errors import Refused
from answerable.flows.counters.keep_history import keep_history
from answerable.flows.recovery.settle_open_intents import recover_from_ledger
from answerable.flows.registry.apply_registry import apply_registry
from answerable.testing.builders import Bench
from answerable.testing.clock import ManualClock
from answerable.testing.disks import FileDisk
from tests.worlds.history import ONE_REFUND, REFUNDS, documents_with, seen
from tests.worlds.parts import to_apply, to_settle

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("HIST-06")]

TRACKERS = (
    REFUNDS,
    {**REFUNDS, "name": "paid", "sum": "amount", "sameResource": True},
    {
        "name": "steps",
        "over": "mandate",
        "steps": [{"kinds": ["read"]}, {"event": "succeeded", "kinds": ["pay"]}],
    },
)
EXPECTED = {"refunds": 1, "paid": 70, "steps": 2}


async def opened(disk, clock):
    stores = await disk.opened()
    bench = Bench(
        clock=clock,
        ledger=stores.ledger,
        registry=stores.registry,
        mandates=stores.mandates,
        approvals=stores.approvals,
        subject_keys=stores.subject_keys,
        history=stores.history,
    )
    recover_from_ledger(*to_settle(bench.walk))
    return bench


def execute(disk, *statements):
    with closing(sqlite3.connect(disk.place / "registers.sqlite")) as connection, connection:
        for statement in statements:
            assert connection.execute(statement).rowcount > 0


@pytest.mark.parametrize(
    "taken",
    [
        (),
        ("DELETE FROM history", "DELETE FROM history_kept"),
        ("DELETE FROM history WHERE owner = 'm-1'", "DELETE FROM history_kept"),
        ("UPDATE history SET state = x'00'",),
        ("UPDATE history_kept SET entries = entries + 1000",),
        ("UPDATE history_kept SET tracker = 'of another definition of it' || tracker",),
    ],
)
@pytest.mark.parametrize("kept", ["before the action", "after it"])
async def test_after_a_crash_the_values_are_those_of_the_ledger_whatever_was_taken_away(
    tmp_path, taken, kept
):
    clock = ManualClock()
    disk = FileDisk(tmp_path, clock)
    bench = await opened(disk, clock)
    await apply_registry(*to_apply(bench.walk), documents_with(*TRACKERS, policies=ONE_REFUND), by="operator")
    await bench.issue(calls_max=50)
    await bench.act()
    await keep_history(bench.recorder.ledger, bench.authority.mandates, bench.counters, bench.clock)
    await bench.refund(70)
    if kept == "after it":
        await keep_history(bench.recorder.ledger, bench.authority.mandates, bench.counters, bench.clock)
    assert seen(bench) == EXPECTED
    await disk.crashed()
    if taken:
        execute(disk, *taken)
    again = await opened(disk, clock)
    again.sequence = bench.sequence
    assert seen(again) == EXPECTED
    with pytest.raises(Refused) as told:
        await again.refund(1)
    assert told.value.code == "one"
    await keep_history(
        again.walk.recorder.ledger, again.walk.authority.mandates, again.walk.counters, again.walk.clock
    )
    await disk.crashed()
    assert seen(await opened(disk, clock)) == EXPECTED
    await disk.closed()

"""Budgets after a restart: kept counts and the intents after them make the same sum as all intents."""

from __future__ import annotations

import pytest

from answerable.adapters.sqlite import SqliteMandateRegister
from answerable.core.action.outcome import Outcome
from answerable.core.ledger.budget_counts import UNKEPT_ENTRIES_MAX, BudgetCounts
from answerable.core.mandate.budget import ONE_CALL, Reserved
from answerable.core.mandate.mandate import MandateId
from answerable.errors import Broken, Refused
from answerable.flows.recovery.settle_open_intents import recover_from_ledger
from answerable.testing.builders import Bench, memory_ledger
from answerable.testing.clock import ManualClock
from answerable.testing.registers import fresh
from tests.worlds.parts import to_settle
from tests.worlds.walk import ended_again

M1 = MandateId("m-1")
ORIGIN = memory_ledger(ManualClock()).origin


class CountingLedger:
    """The ledger, noting from where it was read again."""

    def __init__(self, ledger):
        self._ledger = ledger
        self.replayed_from = []

    def replay(self, start=0):
        self.replayed_from.append(start)
        return self._ledger.replay(start)

    def __getattr__(self, name):
        return getattr(self._ledger, name)


def restarted(bench, mandates):
    again = Bench(
        clock=bench.clock,
        ledger=CountingLedger(bench.recorder.ledger),
        registry=bench.authority.registry,
        mandates=mandates,
        approvals=bench.authority.approvals,
        subject_keys=bench.recorder.subject_keys,
    )
    recover_from_ledger(*to_settle(again.walk))
    return again


def emptied(register):
    """The register as another process finds it: mandates and kept counts, nothing of what was in memory."""
    again = fresh(SqliteMandateRegister)
    for mandate in register.all():
        again.add(mandate)
    again.keep_used(ORIGIN, register.kept_used(ORIGIN), register.used_up_to(ORIGIN))
    return again


@pytest.mark.anyio
async def test_a_start_counts_only_the_intents_after_those_that_were_kept():
    bench = await Bench().registered()
    await bench.issue("m-1", calls_max=5)
    for _ in range(3):
        await bench.act()
    bench.recorder.intents.keep_budgets()
    kept_to = bench.authority.mandates.used_up_to(ORIGIN)
    await bench.act()
    again = restarted(bench, emptied(bench.authority.mandates))
    assert again.walk.recorder.ledger.replayed_from == [kept_to]
    assert kept_to > 5
    assert again.walk.authority.mandates.calls_used(M1) == 4
    await again.act()
    with pytest.raises(Refused, match="budget"):
        await again.act()


@pytest.mark.anyio
async def test_without_kept_counts_all_intents_are_counted():
    bench = await Bench().registered()
    await bench.issue("m-1", calls_max=5)
    for _ in range(5):
        await bench.act()
    again = restarted(bench, emptied(bench.authority.mandates))
    assert again.walk.recorder.ledger.replayed_from == [0]
    assert again.walk.authority.mandates.calls_used(M1) == 5


@pytest.mark.anyio
@pytest.mark.requirement("WALK-15")
async def test_of_a_log_with_a_second_end_only_the_first_gives_back():
    bench = await Bench().registered()
    await bench.issue("m-1", calls_max=5)
    for _ in range(3):
        await bench.act()
    bench.upstream.answer = lambda _: Outcome(status="not_started", detail="the server cannot be reached")
    answer = await bench.act()
    for _ in range(2):
        ended_again(bench, answer)
    again = restarted(bench, emptied(bench.authority.mandates))
    assert again.walk.authority.mandates.calls_used(M1) == 3


@pytest.mark.anyio
async def test_counts_kept_again_and_again_stay_right():
    bench = await Bench().registered()
    await bench.issue("m-1", calls_max=50)
    for _ in range(4):
        await bench.act()
        bench.recorder.intents.keep_budgets()
    bench = restarted(bench, emptied(bench.authority.mandates))
    for _ in range(3):
        await bench.act()
        bench.recorder.intents.keep_budgets()
    again = restarted(bench, emptied(bench.authority.mandates))
    assert again.walk.authority.mandates.calls_used(M1) == 7


@pytest.mark.anyio
async def test_what_a_start_counted_is_not_lost_when_another_mandates_count_is_kept():
    bench = await Bench().registered()
    await bench.issue("m-1", calls_max=2)
    await bench.issue("m-2")
    for _ in range(2):
        await bench.act()
    # The process ends before anything is kept; the next one keeps the count of another mandate.
    bench = restarted(bench, emptied(bench.authority.mandates))
    await bench.act(mandate="m-2")
    bench.recorder.intents.keep_budgets()
    again = restarted(bench, emptied(bench.authority.mandates))
    assert again.walk.authority.mandates.calls_used(M1) == 2
    with pytest.raises(Refused, match="budget"):
        await again.act()


@pytest.mark.anyio
async def test_a_log_that_is_shorter_than_what_was_counted_is_not_opened():
    bench = await Bench().registered()
    await bench.issue("m-1")
    await bench.act()
    bench.authority.mandates.keep_used(ORIGIN, {M1: {"calls": 1}}, bench.recorder.ledger.size + 1)
    with pytest.raises(Broken, match="cut or replaced") as broken:
        restarted(bench, bench.authority.mandates)
    assert broken.value.code == "ledger.entries_missing"


@pytest.mark.anyio
async def test_nothing_is_kept_where_nothing_was_begun():
    bench = await Bench().registered()
    await bench.issue("m-1")
    bench.recorder.intents.keep_budgets()
    assert bench.authority.mandates.used_up_to(ORIGIN) == 0


TOOK = Reserved(accounts=(M1,), amounts=ONE_CALL)


def test_nothing_is_due_before_the_log_has_it_on_stable_storage():
    counts = BudgetCounts()
    assert counts.due(100) is None
    counts.took(TOOK, 7)
    assert counts.due(7) is None
    counts.took(TOOK, 9)
    assert counts.due(8) == ({M1: {"calls": 1}}, 8)
    counts.kept()
    assert counts.due(8) is None
    assert counts.due(10) == ({M1: {"calls": 2}}, 10)


def test_what_an_outcome_gives_back_is_due_with_that_outcome_and_not_before():
    counts = BudgetCounts()
    took = Reserved(accounts=(M1, "hop-1"), amounts={"calls": 1, "rows": 9})
    counts.took(took, 3)
    assert counts.due(4) == ({M1: {"calls": 1, "rows": 9}, "hop-1": {"calls": 1, "rows": 9}}, 4)
    counts.kept()
    counts.ended(took, {"rows": 7}, {"bytes": 2}, 5)
    assert counts.due(5) is None
    left = {"calls": 1, "rows": 2, "bytes": 2}
    assert counts.due(6) == ({M1: left, "hop-1": left}, 6)


def test_entries_without_intents_move_on_from_where_a_start_counts():
    counts = BudgetCounts()
    assert counts.due(UNKEPT_ENTRIES_MAX - 1) is None
    assert counts.due(UNKEPT_ENTRIES_MAX) == ({}, UNKEPT_ENTRIES_MAX)
    counts.kept()
    assert counts.due(UNKEPT_ENTRIES_MAX + 1) is None


def test_a_count_that_has_moved_on_is_not_ahead_of_an_intent_on_its_way_to_the_disk():
    counts = BudgetCounts()
    counts.took(TOOK, UNKEPT_ENTRIES_MAX)
    assert counts.due(UNKEPT_ENTRIES_MAX) is None
    assert counts.due(UNKEPT_ENTRIES_MAX + 1) == ({M1: {"calls": 1}}, UNKEPT_ENTRIES_MAX + 1)

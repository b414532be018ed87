"""The contract suite on both ledgers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from answerable.adapters.tlog_files import TlogFilesLedger
from answerable.adapters.tlog_files.settings import Commit
from answerable.errors import Unavailable
from answerable.testing.clock import ManualClock
from answerable.testing.contracts.ledger import (
    DurableLedgerContract,
    LedgerContract,
    end_entry,
    intent_entry,
    log_key,
    refusal_entry,
)
from answerable.testing.faults import Fault, FaultyLedger
from answerable.testing.memory_ledger import MemoryLedger
from tests.worlds.ledger_files import SMALL, DiskWithRoomFor, appended_until_refused, large, small_log


@pytest.mark.requirement("LEDGER-01")
class TestMemoryLedger(LedgerContract):
    def opened(self, tmp_path: Path) -> MemoryLedger:
        key, sign = log_key()
        return MemoryLedger(key=key, sign=sign, clock=ManualClock())

    async def opened_full(self, tmp_path: Path) -> MemoryLedger:
        key, sign = log_key()
        return MemoryLedger(key=key, sign=sign, clock=ManualClock(), entries_max=11, reserve_entries=10)


@pytest.mark.requirement("LEDGER-01")
def test_the_memory_tells_which_intents_are_open_now() -> None:
    async def run() -> None:
        key, sign = log_key()
        ledger = MemoryLedger(key=key, sign=sign, clock=ManualClock())
        begun = [await ledger.append(intent_entry(number)) for number in range(3)]
        await ledger.append(end_entry(begun[1].index))
        assert [stored.index for stored in ledger.open_intents()] == [begun[0].index, begun[2].index]

    asyncio.run(run())


@pytest.mark.requirement("LEDGER-01")
class TestTlogFilesLedgerInTheLoop(DurableLedgerContract):
    commit: Commit = "inline"

    @pytest.fixture(autouse=True)
    def _disk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.disk = DiskWithRoomFor(monkeypatch, segments=1_000)

    def opened(self, tmp_path: Path) -> TlogFilesLedger:
        return small_log(tmp_path / "log", replace(SMALL, commit=self.commit))

    async def opened_full(self, tmp_path: Path) -> TlogFilesLedger:
        self.disk.segments = 1
        ledger = self.opened(tmp_path)
        await appended_until_refused(ledger, large)
        await appended_until_refused(ledger, refusal_entry)
        return ledger


@pytest.mark.requirement("LEDGER-01")
class TestTlogFilesLedgerInAThread(TestTlogFilesLedgerInTheLoop):
    commit: Commit = "thread"


@pytest.mark.requirement("LEDGER-01")
@pytest.mark.parametrize("fault", ["undone", "done"])
def test_a_ledger_that_fails_on_purpose_fails_as_a_real_one_does(fault: Fault) -> None:
    async def run() -> None:
        key, sign = log_key()
        real = MemoryLedger(key=key, sign=sign, clock=ManualClock())
        plan: dict[int, Fault] = {1: "full", 2: fault}
        ledger = FaultyLedger(real, lambda number, entry: plan.get(number))
        assert (await ledger.append(refusal_entry(0))).index == 1
        codes = []
        for number in range(1, 4):
            with pytest.raises(Unavailable) as refused:
                await ledger.append(refusal_entry(number))
            codes.append((refused.value.code, refused.value.effect))
        assert codes == [("ledger.full", "none"), ("ledger.poisoned", "unknown"), ("ledger.poisoned", "none")]
        with pytest.raises(Unavailable):
            ledger.seal()
        ledger.reopened()
        assert ledger.size == len(list(ledger.replay())) == (3 if fault == "done" else 2)
        assert ledger.origin in ledger.seal()
        assert (await ledger.submit(refusal_entry(9)).durable()).index == ledger.size - 1

    asyncio.run(run())

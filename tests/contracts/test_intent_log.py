"""The contract suite on the embedded intent log, over files; and what befalls a commit halfway."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from answerable.adapters.sqlite import SqliteProjections, SqliteStore
from answerable.core.approval.approval import ApprovalId
from answerable.core.ledger.commit import Committed, Conflict
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.errors import Unavailable
from answerable.flows.recovery.project_ledger import Log, catch_up
from answerable.flows.recovery.recall_prepared import RecalledPrepared
from answerable.testing.clock import START, ManualClock
from answerable.testing.contracts.approval_register import LATER
from answerable.testing.contracts.intent_log import (
    A1,
    M1,
    P1,
    HeardCounts,
    IntentLogContract,
    Opened,
    commit_request,
    committed,
    ready,
    state,
)
from answerable.testing.contracts.ledger import refusal_entry
from answerable.testing.fault_injection import Fault, TroubledApprovals, TroubledLedger
from tests.probes import warm_starts
from tests.worlds.intent_log import Parts, opened_in
from tests.worlds.ledger_files import DiskWithRoomFor, appended_until_refused, large
from tests.worlds.walk import striking

pytestmark = pytest.mark.requirement("HOUSE-70")
ROOT = Path(__file__).resolve().parents[2]
WRITE_SECONDS = 0.1
"""More than a write takes, which waits here."""


class TestEmbeddedIntentLog(IntentLogContract):
    @pytest.fixture(autouse=True)
    def _disk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.disk = DiskWithRoomFor(monkeypatch, segments=1_000)

    async def opened(self, tmp_path: Path) -> Opened:
        return opened_in(tmp_path)[0]

    async def opened_full(self, tmp_path: Path) -> Opened:
        self.disk.segments = 1
        under = await self.opened(tmp_path)
        await appended_until_refused(under.ledger, large)
        await appended_until_refused(under.ledger, refusal_entry)
        return under


def broken(tmp_path: Path, case) -> None:
    """Run a case on an intent log whose parts it puts out of order."""

    async def main() -> None:
        under, parts = opened_in(tmp_path)
        ready(under)
        try:
            await case(under, parts)
        finally:
            await under.close()

    asyncio.run(main())


@pytest.mark.parametrize("fault", ["undone", "done"])
def test_a_register_that_fails_to_use_the_approval_costs_neither_budget_nor_object(tmp_path, fault: Fault):
    async def case(under: Opened, parts: Parts) -> None:
        before = state(under)
        parts.approvals = TroubledApprovals(parts.approvals, striking("approvals.use", fault))
        with pytest.raises(Unavailable) as told:
            await under.intents.commit(commit_request(approval=A1, prepared=P1))
        assert told.value.effect == "none"
        budgets, approval, kept, size = state(under)
        assert (budgets, kept, size) == (before[0], before[2], before[3])
        assert approval == ("approved" if fault == "undone" else "used")

    broken(tmp_path, case)


class Crowded(TroubledLedger):
    """A ledger that has no room until `room` has returned; it calls `meanwhile` while the first action waits."""

    def __init__(self, ledger, meanwhile):
        super().__init__(ledger, striking("nothing", "undone"))
        self._meanwhile = meanwhile
        self._has_room = False

    def submit(self, entry):
        if not self._has_room:
            raise Unavailable("no room", code="ledger.busy", port="ledger")
        return super().submit(entry)

    async def room(self, entry):
        await asyncio.sleep(0)
        self._has_room = True
        await self._meanwhile()


class WrittenBeside(TroubledLedger):
    """A full ledger: before it says so, another thread has had its time for a write to the registers."""

    def __init__(self, ledger, write):
        super().__init__(ledger, striking("nothing", "undone"))
        self.writer = threading.Thread(target=write)

    def submit(self, entry):
        self.writer.start()
        self.writer.join(WRITE_SECONDS)
        raise Unavailable("no room", code="ledger.full", port="ledger")


@pytest.mark.requirement("HOUSE-75")
def test_whoever_writes_meanwhile_stores_no_use_that_the_log_then_refuses(tmp_path):
    async def case(under: Opened, parts: Parts) -> None:
        before = state(under)
        whole = parts.ledger
        full = parts.ledger = WrittenBeside(whole, lambda: under.mandates.keep_used("log", {}, 1))
        with pytest.raises(Unavailable):
            await under.intents.commit(commit_request(approval=A1, prepared=P1))
        full.writer.join()
        parts.ledger = whole
        assert state(under) == before
        committed(await under.intents.commit(commit_request(approval=A1, prepared=P1)))

    broken(tmp_path, case)


def test_while_the_log_has_no_room_the_budget_is_taken_and_no_use(tmp_path):
    async def case(under: Opened, parts: Parts) -> None:
        seen = []

        async def meanwhile() -> None:
            seen.append((under.mandates.calls_used(M1), state(under)[1:3]))

        kept = state(under)[2]
        parts.ledger = Crowded(under.ledger, meanwhile)
        counts = HeardCounts()
        found = committed(await under.intents.commit(commit_request(approval=A1, prepared=P1, counts=counts)))
        assert seen == [(1, ("approved", kept))]
        assert counts.heard == ["waits", f"placed {found.receipt.index}"]

    broken(tmp_path, case)


def test_what_is_used_while_an_action_waits_for_room_is_not_used_again(tmp_path):
    async def case(under: Opened, parts: Parts) -> None:
        others = []

        async def meanwhile() -> None:
            others.append(await under.intents.commit(commit_request(1, approval=A1)))

        parts.ledger = Crowded(under.ledger, meanwhile)
        found = await under.intents.commit(commit_request(approval=A1, prepared=P1))
        assert isinstance(found, Conflict)
        assert found.why == "approval.used"
        assert [type(one) for one in others] == [Committed]
        kept = under.prepared.get(P1)
        assert kept is not None
        assert not kept.used_by
        assert under.mandates.calls_used(M1) == 1

    broken(tmp_path, case)


@pytest.mark.parametrize(("fault", "used"), [("undone", 1), ("done", 1)])
def test_an_intent_that_may_be_on_disk_keeps_what_it_took(tmp_path, fault: Fault, used: int):
    async def case(under: Opened, parts: Parts) -> None:
        parts.ledger = TroubledLedger(under.ledger, striking("ledger.submit", fault))
        with pytest.raises(Unavailable) as told:
            await under.intents.commit(commit_request(approval=A1, prepared=P1))
        assert told.value.effect == "none", "without a commit nothing is performed"
        assert under.mandates.calls_used(M1) == used
        assert state(under)[1] == "used"

    broken(tmp_path, case)


@pytest.mark.parametrize("at", range(3))
def test_who_leaves_meanwhile_is_told_of_once_the_intent_is_durable(tmp_path, at: int):
    async def case(under: Opened, parts: Parts) -> None:
        parts.ledger = TroubledLedger(under.ledger, striking("nothing", "undone"), latency=lambda: 5)
        acting = asyncio.create_task(under.intents.commit(commit_request()))
        for _ in range(at + 1):
            await asyncio.sleep(0)
        acting.cancel()
        found = committed(await acting)
        assert isinstance(found.left, asyncio.CancelledError)
        assert under.ledger.entry(found.receipt.index).tag == Tag.INTENT

    broken(tmp_path, case)


KILLED = """
import asyncio, os, sys
from dataclasses import replace
from pathlib import Path
from msgspec import structs
from answerable.adapters.sqlite.uses_behind import UsesBehind
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.tags import Tag
from answerable.testing.clock import START
from answerable.testing.contracts.approval_register import approved
from answerable.testing.contracts.intent_log import commit_request, ready
from answerable.testing.contracts.prepared_register import sample_prepared
from answerable.testing.samples import approval
from tests.worlds.intent_log import opened_in

carrying = UsesBehind.write
if sys.argv[2] == "never":
    UsesBehind.follow = lambda self: None
    UsesBehind.write = lambda self: self._transaction()

async def main():
    under, parts = opened_in(Path(sys.argv[1]))
    ready(under)
    yes = approved(approval())
    for number in range(10_000):
        name, prepared = f"b-{number}", sample_prepared(number + 1)
        waiting = approval(name, amount=number)
        under.approvals.add(replace(waiting, state="approved", answers=yes.answers))
        under.prepared.add(prepared, waiting_max=99_999)
        made = await under.ledger.append(sealed_entry(Tag.REFUSAL, at=START, members={"action": prepared.id}))
        request = commit_request(number, calls=10_000, approval=name, prepared=prepared.id)

        def intent(run, call, request=request, made=made):
            about = {"entry": made.index, "leaf": made.leaf_hash.hex()}
            members = {"action": request.action, "approval": request.approval, "call": call,
                       "mandate": request.mandate, "prepared": request.prepared, "prepared_ref": about,
                       "reserved": {**request.reserved.amounts}}
            return sealed_entry(Tag.INTENT, at=START, members=members, run=run)

        found = await under.intents.commit(structs.replace(request, make=intent))
        if number % 5 == 4:
            others, UsesBehind.write = UsesBehind.write, carrying
            under.intents.keep_budgets()
            UsesBehind.write = others
        os.write(1, f"{number} {found.receipt.index}\\n".encode())

asyncio.run(main())
"""


async def caught_up(folder: Path) -> None:
    """What a start does to the registers in this folder before they are read, and right after."""
    under, parts = opened_in(folder, seed="starts")
    log = Log(under.ledger.origin, under.ledger.replay)
    with closing(SqliteStore.open(folder / "registers.db")) as store:
        catch_up(SqliteProjections(store, folder / "registers.db"), [log], lambda _: None)
    recalled = RecalledPrepared(ledger=under.ledger, prepared=under.prepared, clock=ManualClock(START))
    for stored in under.ledger.replay(under.mandates.used_up_to(under.ledger.origin)):
        if stored.tag == Tag.INTENT:
            recalled.note(stored)
    await recalled.restored()
    await under.close()
    assert parts.prepared is not None


@pytest.mark.requirement("HOUSE-71")
@pytest.mark.parametrize("rows", ["follow", "never"])
@pytest.mark.parametrize("acknowledged", [1, 7, 23])
def test_killed_in_the_middle_every_intent_has_what_it_states_and_at_most_one_use_has_no_intent(
    tmp_path, acknowledged: int, rows: str
):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), *sys.path))}
    child = subprocess.Popen(
        [*warm_starts.program(KILLED), str(tmp_path), rows], stdout=subprocess.PIPE, env=environment
    )
    assert child.stdout is not None
    lines = [child.stdout.readline() for _ in range(acknowledged)]
    child.send_signal(signal.SIGKILL)
    lines += child.stdout.read().splitlines()
    child.wait()
    told = dict(tuple(map(int, line.split())) for line in lines if line.strip())
    assert len(told) >= acknowledged

    async def case() -> None:
        await caught_up(tmp_path)
        under, parts = opened_in(tmp_path, seed="again")
        leaves = {one.index: leaf_of(one) for one in under.ledger.replay() if one.tag == Tag.INTENT}
        for number, index in told.items():
            assert leaves[index]["action"] == f"action-{number}", "what was acknowledged is there"
        used = Counter(str(leaf["approval"]) for leaf in leaves.values())
        assert set(used.values()) == {1}, "nothing is used by two"
        for leaf in leaves.values():
            approval = under.approvals.find(ApprovalId(str(leaf["approval"])))
            kept = under.prepared.get(str(leaf["prepared"]))
            assert approval is not None
            assert kept is not None
            assert (approval.state, kept.used_by) == ("used", leaf["action"])
        everything = under.approvals.all(pending_only=False, now=LATER)
        spare = [one.id for one in everything if one.state == "used" and one.id not in used]
        assert len(spare) <= 1
        under.intents.restore_budgets()
        assert under.mandates.calls_used(M1) == len(leaves)
        await under.close()
        assert parts.prepared is not None

    asyncio.run(case())

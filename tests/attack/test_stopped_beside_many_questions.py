"""An agent fills the inbox of the people with questions, so that whoever stops it, or anybody else, waits for each."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from answerable.adapters.sqlite import (
    SqliteApprovalRegister,
    SqliteHoldRegister,
    SqliteRevocationRegister,
    SqliteStore,
)
from answerable.core.approval.approval import ApprovalId
from answerable.core.containment.hold import holdable
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.revocation import RevocationTarget
from answerable.flows.drills.report_containment import report_containment
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.revocation.deny_waiting import DENIED_AT_A_TIME
from answerable.flows.revocation.place_hold import resume_holds
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.testing.clock import ManualClock
from answerable.testing.fault_injection import Crash, Trouble, TroubledApprovals
from tests.worlds.hold import bench_to_hold, stop
from tests.worlds.parts import to_hold

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from answerable.testing.builders import Bench

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("NEIGHBOUR-20")]

MANY = 200

ENDINGS: dict[str, Callable[[Bench], Awaitable[Any]]] = {
    "stop": lambda bench: stop(bench, holdable("agent", "scout")),
    "revoke": lambda bench: revoke_authority(
        bench.recorder, bench.authority, bench.live, RevocationTarget("agent", "scout"), by="uid:0"
    ),
    "close": lambda bench: close_mandate(bench.recorder, bench.authority, bench.live, "m-1", by="uid:0"),
}


async def asked(bench: Bench, count: int) -> None:
    """So many questions of one agent wait, none of them about the same amount."""
    first = (await bench.refund(6_000)).approval
    for number in range(1, count):
        bench.authority.approvals.add(replace(first, id=ApprovalId(f"{first.id}-{number}")))


@contextmanager
def kept(folder: Path) -> Iterator[tuple[SqliteStore, dict[str, Any]]]:
    """Registers in a file, as they are deployed."""
    folder.mkdir()
    store, clock = SqliteStore.open(folder / "answerable.db"), ManualClock()
    revocations = SqliteRevocationRegister(store, clock=clock)
    ports = {"clock": clock, "revocations": revocations, "holds": SqliteHoldRegister(store, revocations)}
    try:
        yield store, {**ports, "approvals": SqliteApprovalRegister(store)}
    finally:
        store.close()


async def writes_of(folder: Path, count: int, end: Callable[[Bench], Awaitable[Any]]) -> int:
    """How often the file is written until this is answered, where so many questions wait."""
    with kept(folder) as (store, ports):
        bench = await bench_to_hold(**ports)
        await asked(bench, count)
        write, writes = store.write, []

        def counted() -> Any:
            writes.append(1)
            return write()

        store.write = counted
        await end(bench)
        found = bench.authority.approvals.all(pending_only=False, now=bench.clock.now())
        assert [one.state for one in found] == ["denied"] * count
        return len(writes)


@pytest.mark.parametrize("how", ENDINGS)
async def test_ending_writes_as_often_beside_many_questions_as_beside_one(how, tmp_path):
    one = await writes_of(tmp_path / "one", 1, ENDINGS[how])
    assert await writes_of(tmp_path / "many", MANY, ENDINGS[how]) == one


async def test_what_came_of_a_stop_reads_no_question_anew_that_the_stop_itself_denied(tmp_path):
    with kept(tmp_path / "kept") as (store, ports):
        bench = await bench_to_hold(**ports)
        await asked(bench, MANY)
        rows, read = store.rows, []

        def counted(query: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
            found = rows(query, values)
            read.extend(found if "FROM approvals" in query else ())
            return found

        store.rows = counted
        hold = (await stop(bench, holdable("agent", "scout"))).hold
        assert (
            len((await report_containment(*to_hold(bench.walk), bench.walk.limits, hold)).approvals) == MANY
        )
        assert len(read) <= 1, "beside the one that was asked for last"


@pytest.mark.parametrize("name", ["rover", "scout"])
async def test_a_stop_looks_once_at_questions_that_were_asked_under_the_same_names(name):
    looks = []
    for count in (1, MANY):
        bench = await bench_to_hold()
        await asked(bench, count)
        current, seen = bench.authority.manifests.current, []

        def looked(agent, current=current, seen=seen):
            seen.append(agent)
            return current(agent)

        bench.authority.manifests.current = looked
        await stop(bench, holdable("agent", name))
        looks.append(len(seen))
    assert looks[0] == looks[1]


async def test_the_next_start_denies_what_a_crash_between_two_writes_left_waiting_and_records_all_of_it():
    bench = await bench_to_hold()
    count = DENIED_AT_A_TIME + 10
    await asked(bench, count)
    plain, calls = bench.authority.approvals, iter(range(count))

    def second(_number: int, method: str) -> Any:
        return "crash_before" if method == "approvals.replace_many" and next(calls) == 1 else None

    bench.authority.approvals = TroubledApprovals(plain, Trouble(second))
    with pytest.raises(Crash):
        await stop(bench, holdable("agent", "scout"))
    bench.authority.approvals = plain
    assert len(list(plain.all(pending_only=True, now=bench.clock.now()))) == 10
    assert not bench.entries(Tag.HOLD_PLACED)
    assert await resume_holds(bench.recorder, bench.authority, overdue_only=False) == 1
    assert not list(plain.all(pending_only=True, now=bench.clock.now()))
    [leaf] = bench.entries(Tag.HOLD_PLACED)
    assert leaf["approvals_count"] == count

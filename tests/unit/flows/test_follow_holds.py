"""What is held ends what is open, once for each change, and whatever fails is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import anyio
import pytest

from answerable.core.approval.approval import Approval
from answerable.core.containment.hold import EVERYTHING, Hold, HoldId, holdable
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unavailable
from answerable.flows.containment.follow_holds import follow_holds
from answerable.flows.containment.lift_hold import lift_hold
from answerable.flows.containment.refuse_held import open_stream, refuse_held
from answerable.flows.revocation.place_hold import place_hold, resume_holds
from answerable.flows.workloads.enrol_workload import enrol
from tests.worlds.enrolment import enrolling, evidence_of, key_of
from tests.worlds.gateway import until
from tests.worlds.hold import bench_to_hold, lift_token, stop
from tests.worlds.parts import to_hold

pytestmark = pytest.mark.anyio


async def test_a_register_that_cannot_be_read_for_a_moment_ends_nothing(caplog):
    bench = await bench_to_hold()
    _, caller = bench.request("get_case", {"case": "4711"})
    cut: list[str] = []
    open_stream(
        bench.recorder.ledger,
        bench.authority,
        bench.live,
        bench.walk.verification,
        caller,
        "m-1",
        "crm",
        cut=lambda: cut.append("once"),
    )
    left = open_stream(
        bench.recorder.ledger,
        bench.authority,
        bench.live,
        bench.walk.verification,
        caller,
        "m-1",
        "crm",
        cut=lambda: cut.append("never"),
    )
    left()
    epoch, failures = bench.authority.holds.epoch, [1, 1]

    def failing() -> int:
        if failures:
            failures.pop()
            raise Unavailable("the disk is gone", code="register.unavailable", port="register")
        return epoch()

    bench.authority.holds.epoch = failing
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            lambda: follow_holds(
                bench.recorder.open_intents,
                bench.authority,
                bench.live,
                bench.counters.cuts,
                poll_seconds=0.001,
            )
        )
        await until(lambda: not failures)
        assert cut == []
        bench.authority.holds.place(
            Hold(id=HoldId("hold_" + "x" * 22), what=EVERYTHING, at=bench.clock.now(), by="uid:0")
        )
        await until(lambda: cut)
        tasks.cancel_scope.cancel()
    assert cut == ["once"]
    assert "cannot be looked at right now" in caplog.text
    with pytest.raises(Refused):
        refuse_held(bench.recorder.ledger, bench.authority, bench.walk.verification, caller, "m-1", "crm")


async def test_who_is_not_held_is_let_through_at_the_same_doors():
    bench = await bench_to_hold()
    _, caller = bench.request("get_case", {"case": "4711"})
    refuse_held(bench.recorder.ledger, bench.authority, bench.walk.verification, caller, "m-1", "crm")
    refuse_held(bench.recorder.ledger, bench.authority, bench.walk.verification, caller, "m-unknown", "crm")


async def test_instances_that_cannot_be_ended_now_are_once_they_can():
    bench, workloads = await enrolling()
    instance = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    end_many = workloads.instances.end_many

    def failing(*_: object, **__: object) -> None:
        raise Unavailable("the disk is full", code="register.unavailable", port="register")

    workloads.instances.end_many = failing
    placed = await place_hold(
        *to_hold(bench.walk), holdable("agent", "scout"), by="uid:0", workloads=workloads
    )
    assert not placed.recorded
    workloads.instances.end_many = end_many
    assert await resume_holds(bench.recorder, bench.authority, workloads, overdue_only=False) == 1
    assert workloads.instances.find(instance.id).state == "ended"


async def test_a_hold_that_has_run_out_before_it_was_recorded_is_recorded_and_ends_nothing():
    bench, workloads = await enrolling()
    instance = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    now = bench.clock.now()
    bench.authority.holds.place(
        Hold(id=HoldId("hold_" + "x" * 22), what=EVERYTHING, at=now, by="uid:0", expires_at=now + 1_000)
    )
    bench.clock.advance(60)
    assert await resume_holds(bench.recorder, bench.authority, workloads) == 1
    assert workloads.instances.find(instance.id).state == "live"


async def test_a_caller_who_leaves_while_it_is_recorded_leaves_a_hold_and_a_lift_that_count():
    bench = await bench_to_hold()
    submit = bench.recorder.ledger.submit
    with anyio.CancelScope() as scope:

        def leaving(entry: object) -> object:
            scope.cancel()
            return submit(entry)

        bench.recorder.ledger.submit = leaving
        await stop(bench, EVERYTHING, by="alice")
        await anyio.lowlevel.checkpoint()
    [hold] = bench.authority.holds.all()
    assert bench.authority.holds.unrecorded() == ()
    with anyio.CancelScope() as scope:
        await lift_hold(
            bench.recorder,
            bench.authority,
            bench.asking.under_way,
            bench.counters,
            hold.id,
            lift_token(bench, hold, "bob"),
        )
    assert scope.cancelled_caught
    assert bench.authority.holds.get(hold.id).lifted_at


async def test_two_who_read_the_same_hold_and_sign_one_after_the_other_do_not_overwrite_each_other():
    bench = await bench_to_hold()
    hold = (await stop(bench, EVERYTHING)).hold
    get = bench.authority.holds.get
    bench.authority.holds.get = lambda _: hold
    await lift_hold(
        bench.recorder,
        bench.authority,
        bench.asking.under_way,
        bench.counters,
        hold.id,
        lift_token(bench, hold, "bob"),
    )
    with pytest.raises(Refused) as raised:
        await lift_hold(
            bench.recorder,
            bench.authority,
            bench.asking.under_way,
            bench.counters,
            hold.id,
            lift_token(bench, hold, "carol"),
        )
    assert raised.value.code == "hold.changed_meanwhile"
    bench.authority.holds.get = get
    assert [one.by for one in get(hold.id).agreed] == ["bob"]


async def test_a_round_that_is_cancelled_while_a_hold_is_recorded_records_it_once():
    bench = await bench_to_hold()
    bench.authority.holds.place(
        Hold(id=HoldId("hold_" + "x" * 22), what=EVERYTHING, at=bench.clock.now(), by="uid:0")
    )
    submit = bench.recorder.ledger.submit
    with anyio.CancelScope() as scope:

        def leaving(entry: object) -> object:
            scope.cancel()
            return submit(entry)

        bench.recorder.ledger.submit = leaving
        await resume_holds(bench.recorder, bench.authority, overdue_only=False)
    assert scope.cancelled_caught
    assert bench.authority.holds.unrecorded() == ()
    assert len(bench.entries(Tag.HOLD_PLACED)) == 1


async def test_an_approval_that_somebody_answers_at_this_very_moment_is_not_denied_twice():
    bench = await bench_to_hold()
    await bench.refund(6_000)
    approvals = bench.authority.approvals
    replace_many = approvals.replace_many

    def denied_first(changes: Sequence[tuple[Approval, Approval]]) -> tuple[bool, ...]:
        """A person says no between the look and the write."""
        assert all(replace_many([(replace(was, state="denied"), was) for _, was in changes]))
        return replace_many(changes)

    approvals.replace_many = denied_first
    assert (await stop(bench, EVERYTHING)).approvals == ()
    approvals.replace_many = replace_many
    assert (await stop(bench, EVERYTHING)).approvals == ()
    (after,) = bench.authority.approvals.all(pending_only=False, now=bench.clock.now())
    assert (after.state, after.ended_by) == ("denied", "")


async def test_a_task_that_is_ended_while_its_hold_is_recorded_cuts_first():
    bench = await bench_to_hold()
    _, caller = bench.request("get_case", {"case": "4711"})
    cut: list[str] = []
    open_stream(
        bench.recorder.ledger,
        bench.authority,
        bench.live,
        bench.walk.verification,
        caller,
        "m-1",
        "crm",
        cut=lambda: cut.append("stream"),
    )
    submit = bench.recorder.ledger.submit

    def ended(entry: object) -> object:
        task.cancel()
        return submit(entry)

    bench.recorder.ledger.submit = ended
    task = asyncio.get_running_loop().create_task(stop(bench, EVERYTHING))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cut == ["stream"]
    assert bench.authority.holds.unrecorded() == ()

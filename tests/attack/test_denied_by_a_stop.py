"""Approvals that a stop denied, beside those that other stops, people and time ended at the same moment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.containment.hold import EVERYTHING, holdable
from answerable.flows.drills.report_containment import report_containment
from tests.attack.test_holds import sample
from tests.worlds.hold import bench_to_hold, lift, stop
from tests.worlds.parts import to_hold

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("STOP-11")]


async def test_each_report_names_what_its_own_stop_denied_and_nothing_that_ended_otherwise():
    bench = await bench_to_hold()
    refused, first = [(await bench.refund(amount)).approval for amount in (6_000, 6_001)]
    await bench.answer(refused, verdict="deny")
    one = (await stop(bench, holdable("agent", "scout"))).hold
    two = (await stop(bench, holdable("server", "crm"))).hold
    for hold, expected in ((one, (first.id,)), (two, ())):
        assert (await report_containment(*to_hold(bench.walk), bench.walk.limits, hold)).approvals == expected
    for hold in (one, two):
        for person in ("alice", "bob"):
            await lift(bench, hold, person)
    # In the very millisecond in which another one runs out.
    expired = (await bench.refund(6_002)).approval
    bench.clock.advance((expired.expires_at - bench.clock.now()) / 1000)
    three = (await stop(bench, holdable("agent", "scout"))).hold
    assert (await report_containment(*to_hold(bench.walk), bench.walk.limits, three)).approvals == ()
    assert (await report_containment(*to_hold(bench.walk), bench.walk.limits, one)).approvals == (first.id,)


async def test_one_that_is_answered_while_it_is_being_denied_is_denied_all_the_same():
    bench = await bench_to_hold()
    waiting = (await bench.refund(6_000)).approval
    register, tried = bench.authority.approvals, []
    put = register.replace_many

    def raced(changes):
        if changes[0][0].state == "denied" and not tried:
            # Somebody of another process answers first, which does not end it.
            tried.append(changes)
            assert put([(replace(was, reasons=("answered by one of two",)), was) for _, was in changes])[0]
        return put(changes)

    register.replace_many = raced
    placed = await stop(bench, holdable("agent", "scout"))
    found = register.find(waiting.id)
    assert (found.state, found.ended_by) == ("denied", placed.hold.id)
    assert found.reasons == ("answered by one of two",)
    assert placed.approvals == (waiting.id,)
    assert (await report_containment(*to_hold(bench.walk), bench.walk.limits, placed.hold)).approvals == (
        waiting.id,
    )


async def test_one_that_is_asked_for_while_the_stop_comes_is_in_the_report():
    bench = await bench_to_hold()
    add, held = bench.authority.approvals.add, []

    def held_meanwhile(approval):
        hold = sample(bench, EVERYTHING)
        bench.authority.holds.place(hold)
        held.append(hold)
        add(approval)

    bench.authority.approvals.add = held_meanwhile
    asked = (await bench.refund(6_000)).approval
    assert (await report_containment(*to_hold(bench.walk), bench.walk.limits, held[0])).approvals == (
        asked.id,
    )

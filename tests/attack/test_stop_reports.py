"""What a stop says of itself: no action that is not accounted for, nothing told twice, nothing passed over."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from answerable.core.containment.hold import EVERYTHING, holdable
from answerable.core.ledger.tags import Tag
from answerable.flows.drills.report_containment import (
    AT_A_TIME,
    ReportTurns,
    follow_reports,
    record_reports,
    report_containment,
)
from answerable.flows.recovery.restore_holds import RecalledHolds
from answerable.flows.revocation.place_hold import resume_holds
from answerable.testing.builders import Bench
from answerable.verify.leaf_rules import read_leaf
from answerable.verify.leaf_types import Leaf
from answerable.wiring.walk import Walk
from tests.worlds.gateway import until
from tests.worlds.hold import REACHING, bench_to_hold, lift, stop
from tests.worlds.parts import to_hold
from tests.worlds.revocation import act_as_instance
from tests.worlds.walk import cited

pytestmark = [pytest.mark.anyio]
STOPS = (Tag.HOLD_PLACED, Tag.HOLD_LIFTED, Tag.CONTAINMENT_REPORT)


def require_readable(walk: Walk) -> None:
    """By whoever verifies the ledger, leaf by leaf."""
    for stored in walk.recorder.ledger.replay():
        found = read_leaf(stored.leaf)
        assert isinstance(found, Leaf), (stored.tag, found)
        assert stored.tag not in STOPS or type(found) is not Leaf


class Stubborn:
    """An upstream that goes on when it is told to cancel, until it is let go."""

    def __init__(self, bench: Bench, count: int = 1) -> None:
        self.begun, self.go, self._count = anyio.Event(), anyio.Event(), count
        bench.upstream.before = self._waits

    async def _waits(self, _effect) -> None:
        self._count -= 1
        if self._count == 0:
            self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            await self.go.wait()


@pytest.mark.requirement("STOP-03", "STOP-04")
async def test_what_will_not_be_cancelled_is_in_flight_until_it_ends_and_only_then_is_the_report_written():
    bench = await bench_to_hold()
    await bench.act()
    upstream = Stubborn(bench)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bench.act)
        await upstream.begun.wait()
        hold = (await stop(bench, holdable("agent", "scout"))).hold
        report = await report_containment(*to_hold(bench.walk), bench.walk.limits, hold)
        [flight] = report.in_flight
        assert (flight.status, report.running, report.is_complete) == ("", 1, False)
        assert report.due_at == flight.due_at > bench.clock.now()
        [live] = [one for one in report.live if one.kind == "action"]
        assert (live.name, live.until) == (flight.action, flight.due_at)
        assert await record_reports(*to_hold(bench.walk), bench.walk.limits) == 0
        bench.clock.advance(3)
        upstream.go.set()
    report = await report_containment(*to_hold(bench.walk), bench.walk.limits, hold)
    [flight] = report.in_flight
    assert (flight.status, report.running, report.is_complete) == ("succeeded", 0, True)
    assert bench.entries(Tag.OUTCOME)[-1]["index"] == flight.entry
    assert report.live == ()
    assert await record_reports(*to_hold(bench.walk), bench.walk.limits) == 1
    assert await record_reports(*to_hold(bench.walk), bench.walk.limits) == 0
    [leaf] = bench.entries(Tag.CONTAINMENT_REPORT)
    assert (leaf["hold"], leaf["placed"], leaf["in_flight"]) == (hold.id, report.entry, [flight.index])
    assert (leaf["ended"], leaf["after"], leaf["last"]) == ({"succeeded": 1}, 0, report.last.index)
    assert (await report_containment(*to_hold(bench.walk), bench.walk.limits, hold)).recorded == leaf["index"]
    require_readable(bench.walk)
    fields = bench.opened(leaf["index"])[1]
    assert fields["report"]["in_flight"][0]["action"] == flight.action


@pytest.mark.requirement("STOP-03")
async def test_a_call_that_was_cut_may_go_on_over_there_and_nobody_claims_to_know_until_when():
    bench = await bench_to_hold()
    started = anyio.Event()

    async def hangs(_effect):
        started.set()
        await anyio.sleep_forever()

    bench.upstream.before = hangs
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bench.act)
        await started.wait()
        hold = (await stop(bench, EVERYTHING)).hold
    report = await report_containment(*to_hold(bench.walk), bench.walk.limits, hold)
    [flight] = report.in_flight
    [live] = report.live
    assert (flight.status, report.cut, report.is_complete) == ("indeterminate", 1, True)
    assert (live.kind, live.name, live.until) == ("action", flight.action, 0)
    assert [one.index for one in report.done] == [flight.index]


@pytest.mark.requirement("STOP-03")
@pytest.mark.parametrize("which", REACHING)
async def test_whatever_the_stop_is_on_the_report_has_what_was_within_reach(which):
    bench = await bench_to_hold()
    await act_as_instance(bench)
    [intent] = bench.entries(Tag.INTENT)
    report = await report_containment(
        *to_hold(bench.walk), bench.walk.limits, (await stop(bench, REACHING[which])).hold
    )
    assert (report.last.index, report.last.at) == (intent["index"], intent["at"])
    assert report.counted == {"read": 1}
    assert report.entry > report.last.index
    assert report.after_count == 0


@pytest.mark.requirement("STOP-03")
async def test_what_others_did_is_not_in_it_and_what_failed_or_was_refused_is_no_effect():
    bench = await bench_to_hold()
    await bench.issue("m-2", agent="rover")
    await bench.act(agent="rover", mandate="m-2")
    report = await report_containment(
        *to_hold(bench.walk), bench.walk.limits, (await stop(bench, holdable("agent", "scout"))).hold
    )
    assert (report.last, report.done, report.counted) == (None, (), {})
    assert report.mandates == ("m-1",)


@pytest.mark.requirement("STOP-03")
async def test_what_is_done_after_the_lift_is_no_action_behind_the_stop():
    bench = await bench_to_hold()
    await cited(bench)
    hold = (await stop(bench, holdable("agent", "scout"))).hold
    before = await report_containment(*to_hold(bench.walk), bench.walk.limits, hold)
    bench.clock.advance(5)
    lifted = await lift(bench, await lift(bench, hold, "bob"), "carol")
    assert lifted.lifted_at
    await bench.act()
    for scans in (bench.live.scans, {}):
        bench.live.scans = scans
        after = await report_containment(*to_hold(bench.walk), bench.walk.limits, lifted)
        assert (after.after_count, after.in_flight_count, after.last) == (0, 0, before.last)


@pytest.mark.requirement("STOP-04")
async def test_a_report_is_written_though_whoever_pressed_is_gone_and_not_again_when_it_is_read_back():
    bench = await bench_to_hold()
    hold = (await stop(bench, holdable("agent", "scout"))).hold
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow_reports, *to_hold(bench.walk), bench.walk.limits)
        await until(lambda: bench.entries(Tag.CONTAINMENT_REPORT), seconds=60)
        tasks.cancel_scope.cancel()
    again = await Bench(clock=bench.clock).registered()
    again.walk.recorder.ledger = bench.recorder.ledger
    again.walk.recorder.subject_keys = bench.recorder.subject_keys
    recalled = RecalledHolds(recorder=again.walk.recorder, authority=again.walk.authority)
    for stored in bench.recorder.ledger.replay():
        if stored.tag in (Tag.HOLD_PLACED, Tag.HOLD_LIFTED, Tag.CONTAINMENT_REPORT):
            recalled.note(stored)
    assert await recalled.restored() == 1
    assert again.walk.authority.holds.get(hold.id) is not None
    assert list(again.walk.authority.holds.unreported()) == []
    assert await record_reports(*to_hold(again.walk), again.walk.limits) == 0


@pytest.mark.requirement("STOP-04")
async def test_a_crash_before_the_register_knew_of_the_report_writes_no_second_one(monkeypatch):
    bench = await bench_to_hold()
    await stop(bench, holdable("agent", "scout"))
    reported = bench.authority.holds.reported
    monkeypatch.setattr(bench.authority.holds, "reported", lambda _: None)
    assert await record_reports(*to_hold(bench.walk), bench.walk.limits) == 1
    monkeypatch.setattr(bench.authority.holds, "reported", reported)
    bench.live.scans = {}
    assert await record_reports(*to_hold(bench.walk), bench.walk.limits) == 0
    assert len(bench.entries(Tag.CONTAINMENT_REPORT)) == 1
    assert list(bench.authority.holds.unreported()) == []


@pytest.mark.requirement("STOP-04")
async def test_holds_whose_reports_must_wait_delay_no_later_report():
    bench = await bench_to_hold()
    upstream, turns = Stubborn(bench), ReportTurns()
    waiting = [REACHING[one] for one in ("agent", "mandate", "tool", "server", "capability")]
    assert len(waiting) > AT_A_TIME
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bench.act)
        await upstream.begun.wait()
        for what in waiting:
            await stop(bench, what)
        later = (await stop(bench, holdable("tenant", "t-1"))).hold
        recorded = [
            await record_reports(*to_hold(bench.walk), bench.walk.limits, turns=turns) for _ in waiting
        ]
        upstream.go.set()
    assert sum(recorded) == 1
    [leaf] = bench.entries(Tag.CONTAINMENT_REPORT)
    assert leaf["hold"] == later.id


@pytest.mark.requirement("STOP-04")
async def test_a_hold_that_is_not_on_record_yet_has_no_report_on_record(monkeypatch):
    bench = await bench_to_hold()
    monkeypatch.setattr(bench.authority.holds, "recorded", lambda _: None)
    hold = (await stop(bench, holdable("agent", "scout"))).hold
    monkeypatch.undo()
    assert await record_reports(*to_hold(bench.walk), bench.walk.limits) == 0
    await resume_holds(bench.recorder, bench.authority, overdue_only=False)
    assert await record_reports(*to_hold(bench.walk), bench.walk.limits) == 1
    assert bench.entries(Tag.CONTAINMENT_REPORT)[0]["hold"] == hold.id


@pytest.mark.requirement("STOP-03")
async def test_of_many_watchers_each_is_told_the_same_and_no_more_stops_are_kept_in_mind_than_may_be():
    bench = await bench_to_hold()
    for _ in range(5):
        await bench.act()
    holds = [(await stop(bench, holdable("tenant", f"t-{one}"))).hold for one in range(20)]
    told = []

    async def watch(hold) -> None:
        told.append(await report_containment(*to_hold(bench.walk), bench.walk.limits, hold))

    async with anyio.create_task_group() as tasks:
        for hold in [holds[0]] * 10 + holds:
            tasks.start_soon(watch, hold)
    assert len({(one.entry, one.entries) for one in told if one.hold.id == holds[0].id}) == 1
    assert len(bench.live.scans) <= 8

"""Whoever stops through one process is told how what every other one has in flight ended, or that nobody knows."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import anyio
import msgspec
import pytest

from answerable.adapters.shard_socket.messages import VERSION, Contain, asked_in
from answerable.core.containment.hold import Hold, holdable
from answerable.core.incident.timeline import told
from answerable.core.ledger.containment import OnRecord
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed, Unavailable
from answerable.flows.drills.report_containment import OTHERS_MILLIS, record_reports, report_containment
from answerable.flows.forensics.opened_moment import opened_moment
from answerable.flows.revocation.cut_held import cut_held
from answerable.flows.revocation.place_hold import place_hold
from answerable.testing.builders import Bench
from tests.attack.test_stop_reports import require_readable
from tests.worlds.link import BASE, LIMITS, A, door, link_of, sent, two_shards
from tests.worlds.parts import to_hold

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("STOP-03")]

B = f"{BASE}/b"


async def two(directory: Path) -> tuple[Bench, Bench]:
    """a, which owns the mandate and acts, and b, through which is stopped, on one register."""
    a, b = await two_shards(directory)
    b.walk.authority.revocations, b.walk.authority.holds = (
        a.walk.authority.revocations,
        a.walk.authority.holds,
    )
    return a, b


async def stopped(bench: Bench) -> Hold:
    return (await place_hold(*to_hold(bench.walk), holdable("agent", "scout"), by="uid:0")).hold


async def test_what_another_process_had_in_flight_is_told_with_its_log_and_how_it_ended(tmp_path):
    a, b = await two(tmp_path / "links")
    started = anyio.Event()

    async def hangs(_effect: object) -> None:
        started.set()
        await anyio.sleep_forever()

    async with door(tmp_path / "links", "a", a):
        await sent(b)
        a.clock.advance(1)
        a.upstream.before = hangs
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(sent, b, "refund", {"case": "4711", "amount": 100}))
            await started.wait()
            hold = await stopped(b)
            first = await report_containment(*to_hold(b.walk), b.walk.limits, hold)
            # As `follow_holds` does over there.
            assert (
                cut_held(a.walk.recorder.open_intents, a.walk.authority, a.walk.live, a.walk.counters.cuts)
                == 1
            )
        after = await report_containment(*to_hold(b.walk), b.walk.limits, hold)
        assert await record_reports(*to_hold(b.walk), b.walk.limits) == 1
        assert await record_reports(*to_hold(a.walk), a.walk.limits) == 0
    [flying] = first.in_flight
    assert (flying.log, flying.capability, flying.status, first.running) == (A, "crm.refund", "", 1)
    [ended] = after.in_flight
    assert (ended.log, ended.index, ended.status, after.running) == (A, flying.index, "indeterminate", 0)
    assert (after.last.log, after.last.capability) == (A, "crm.read")
    assert (after.log, after.after_count, after.not_asked) == (B, 0, ())
    assert after.is_complete
    assert after.counted == {"read": 1, "not_reversible": 1}


async def test_a_process_that_does_not_run_or_sleeps_is_named_and_not_passed_over(tmp_path):
    a, b = await two(tmp_path / "links")
    async with door(tmp_path / "links", "a", a):
        hold = await stopped(b)
    report = await report_containment(*to_hold(b.walk), b.walk.limits, hold)
    [silent] = report.not_asked
    assert silent.log == A
    assert "`a` is not running" in silent.why
    assert (report.running, report.is_settled, report.is_complete) == (0, True, False)
    b.walk.live.link = link_of(tmp_path / "links", "b", type(LIMITS)(trace_seconds_max=0.05))

    async def asleep(_hold: str) -> object:
        await anyio.sleep_forever()
        raise AssertionError

    async with door(tmp_path / "links", "a", a, contain=asleep):
        [silent] = (await report_containment(*to_hold(b.walk), b.walk.limits, hold)).not_asked
    assert "gave no answer in" in silent.why


@pytest.mark.requirement("STOP-04")
async def test_the_recorded_report_waits_for_a_process_that_starts_again_and_counts_what_it_had(tmp_path):
    a, b = await two(tmp_path / "links")
    started = anyio.Event()

    async def hangs(_effect: object) -> None:
        started.set()
        await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        # Until its door is open again, nobody can ask a.
        await sent(a)
        a.clock.advance(1)
        a.upstream.before = hangs
        tasks.start_soon(partial(sent, a, "refund", {"case": "4711", "amount": 100}))
        await started.wait()
        hold = await stopped(b)
        assert await record_reports(*to_hold(b.walk), b.walk.limits) == 0
        async with door(tmp_path / "links", "a", a):
            a.clock.advance(OTHERS_MILLIS / 1000 + 1)
            assert await record_reports(*to_hold(b.walk), b.walk.limits) == 0
        assert (
            cut_held(a.walk.recorder.open_intents, a.walk.authority, a.walk.live, a.walk.counters.cuts) == 1
        )
    async with door(tmp_path / "links", "a", a):
        assert await record_reports(*to_hold(b.walk), b.walk.limits) == 1
        asked_at_b = await report_containment(*to_hold(b.walk), b.walk.limits, hold)
    [leaf] = b.entries(Tag.CONTAINMENT_REPORT)
    [flight] = asked_at_b.in_flight
    assert (leaf["in_flight"], leaf["in_flight_elsewhere"]) == ([], {A: [flight.index]})
    assert (leaf["in_flight_count"], leaf["ended"]) == (1, {"indeterminate": 1})
    assert (leaf["last"], leaf["last_log"]) == (asked_at_b.last.index, A)
    assert "not_asked" not in leaf
    line = told(opened_moment(b.recorder.ledger.entry(leaf["index"]), b.recorder.subject_keys.find))
    assert line.text == "All that was in flight when agent scout was stopped has ended."
    assert f"of them in other shards: entries a/{flight.index}" in line.details
    assert f"last effect before it: entry a/{asked_at_b.last.index}" in line.details
    require_readable(b.walk)


@pytest.mark.requirement("STOP-04")
async def test_the_recorded_report_names_a_process_that_gave_no_answer_and_claims_nothing_of_it(tmp_path):
    _, b = await two(tmp_path / "links")
    await stopped(b)
    assert await record_reports(*to_hold(b.walk), b.walk.limits) == 0
    b.clock.advance(OTHERS_MILLIS / 1000)
    assert await record_reports(*to_hold(b.walk), b.walk.limits) == 1
    [leaf] = b.entries(Tag.CONTAINMENT_REPORT)
    assert leaf["not_asked"] == [A]
    line = told(opened_moment(b.recorder.ledger.entry(leaf["index"]), b.recorder.subject_keys.find))
    assert line.text == (
        "All that is known to have been in flight when agent scout was stopped has ended; answerable.test/a gave no "
        "answer: what was in flight there is not known."
    )
    require_readable(b.walk)


async def test_a_hold_of_another_shard_is_told_with_the_place_of_its_record_there(tmp_path):
    a, b = await two(tmp_path / "links")
    hold = await stopped(a)
    async with door(tmp_path / "links", "a", a):
        first = await report_containment(*to_hold(b.walk), b.walk.limits, hold)
        a.clock.advance(OTHERS_MILLIS / 1000)
        assert await record_reports(*to_hold(a.walk), a.walk.limits) == 1
        after = await report_containment(*to_hold(b.walk), b.walk.limits, hold)
    [placed], [report] = a.entries(Tag.HOLD_PLACED), a.entries(Tag.CONTAINMENT_REPORT)
    assert first.elsewhere == OnRecord(log=A, entry=placed["index"], report=-1)
    assert (after.entry, after.recorded, after.log) == (-1, -1, B)
    assert after.elsewhere == OnRecord(log=A, entry=placed["index"], report=report["index"])


async def test_a_hold_that_is_none_another_version_and_another_log_are_no_answer(tmp_path):
    a, b = await two(tmp_path / "links")
    hold = await stopped(b)
    link = link_of(tmp_path / "links", "b")
    async with door(tmp_path / "links", "a", a):
        for origin, name in ((A, "hold_x"), ("somebody.else/a", hold.id)):
            with pytest.raises(Unavailable) as told:
                await link.contained(origin, name)
            assert (told.value.code, told.value.effect) == ("shard.refused", "none")

    async def of_another(_hold: str) -> object:
        return msgspec.structs.replace(await link_part(b, hold), log="somebody.else/x")

    async with door(tmp_path / "links", "a", a, contain=of_another):
        with pytest.raises(Unavailable):
            await link.contained(A, hold.id)
    for odd in (Contain(v=VERSION + 1, to=A, hold="h"), Contain(v=VERSION, to=A, hold="h" * 65)):
        with pytest.raises(Malformed):
            asked_in(msgspec.msgpack.encode(odd))


async def link_part(bench: Bench, hold: Hold) -> msgspec.Struct:
    from answerable.flows.containment.scan_stop import stop_part

    return await stop_part(bench.recorder, bench.authority, bench.live.scans, bench.walk.limits, hold)

"""Whoever stops through one process is told how what every other one has in flight ended, or that nobody knows."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import anyio
import msgspec
import pytest

from answerable.adapters.shard_socket.messages import VERSION, Contain, asked_in
from answerable.core.containment.hold import Hold, holdable
from answerable.errors import Malformed, Unavailable
from answerable.flows.drills.report_containment import record_reports, report_containment
from answerable.flows.revocation.cut_held import cut_held
from answerable.flows.revocation.place_hold import place_hold
from answerable.testing.builders import Bench
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
    assert after.counted == {"read": 1, "not_reversible": 1}


async def test_a_process_that_does_not_run_or_sleeps_is_named_and_not_passed_over(tmp_path):
    a, b = await two(tmp_path / "links")
    async with door(tmp_path / "links", "a", a):
        hold = await stopped(b)
    [silent] = (await report_containment(*to_hold(b.walk), b.walk.limits, hold)).not_asked
    assert silent.log == A
    assert "`a` is not running" in silent.why
    b.walk.live.link = link_of(tmp_path / "links", "b", type(LIMITS)(trace_seconds_max=0.05))

    async def asleep(_hold: str) -> object:
        await anyio.sleep_forever()
        raise AssertionError

    async with door(tmp_path / "links", "a", a, contain=asleep):
        [silent] = (await report_containment(*to_hold(b.walk), b.walk.limits, hold)).not_asked
    assert "gave no answer in" in silent.why


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

"""Who waits for whom: the share of each source of messages in the event loop's time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from answerable.core.identity.proof.channel import CHANNEL_EXTENSION, Channel, PeerCredentials
from answerable.wiring.loop_share import (
    BURST_SECONDS,
    LOOK_SECONDS,
    MARKED_SECONDS,
    OWED_SECONDS,
    PRESENT_SECONDS,
    REFUSED_SHARE,
    SHORT_SECONDS,
    SOURCES_MAX,
    THROWN_BYTES,
    THROWN_MAX,
    UNMEASURED_SECONDS,
    LoopShare,
    Pace,
    preferred,
    shared,
)

pytestmark = pytest.mark.anyio


class Time:
    """A clock that goes on when somebody works or waits."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.worked = 0.0
        self.waited = 0.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.waited += seconds
        await asyncio.sleep(0)

    async def work(self, seconds: float, steps: int = 2) -> str:
        for _ in range(steps):
            self.now += seconds / steps
            self.worked += seconds / steps
            await asyncio.sleep(0)
        return "done"


def share_of(time: Time, share: float = 0.25) -> LoopShare:
    return LoopShare(share=share, now=lambda: time.now, worked=lambda: time.worked, sleep=time.sleep)


@pytest.mark.requirement("NEIGHBOUR-06")
async def test_who_is_alone_waits_for_nothing() -> None:
    time = Time()
    share = share_of(time)
    for _ in range(100):
        assert await share.run("agent a", time.work(0.05)) == "done"
    assert time.waited == 0


@pytest.mark.requirement("NEIGHBOUR-06")
async def test_beside_another_nobody_has_more_than_its_share_and_who_needs_less_waits_for_nothing() -> None:
    time = Time()
    share = share_of(time)
    begun, greedy = time.now, 0.0
    while time.now < begun + 60:
        await share.run("agent a", time.work(0.01))
        greedy += 0.01
        waited = time.waited
        share.here("agent b")
        await share.run("agent b", time.work(0.0001))
        assert time.waited == waited
    # No more, and no less by much: what a message costs outside of what is measured counts, too.
    assert 0.2 * (time.now - begun) <= greedy <= 0.25 * (time.now - begun) + BURST_SECONDS + 0.01


@pytest.mark.requirement("NEIGHBOUR-06")
async def test_who_does_not_stand_has_a_small_share_and_makes_nobody_wait() -> None:
    time = Time()
    share = share_of(time)
    for _ in range(200):
        await share.run("agent held", time.work(0.01), stands=False)
        await share.run("agent a", time.work(0.01))
        await share.turn("stranger")
    # Only those who do not stand waited, and only because the other was there.
    begun, waited = time.now, time.waited
    for _ in range(50):
        await share.run("agent held", time.work(0.01), stands=False)
        share.here("agent a")
    assert REFUSED_SHARE * (time.now - begun) + BURST_SECONDS + 0.01 >= 50 * 0.01
    assert time.waited > waited
    alone = share_of(time)
    waited = time.waited
    for _ in range(200):
        await alone.turn("stranger")
        await alone.run("agent a", time.work(0.01))
    assert time.waited - waited <= 200 * 0.0005 / REFUSED_SHARE


@pytest.mark.requirement("NEIGHBOUR-06")
async def test_a_step_in_which_the_core_was_lost_is_charged_what_was_worked_in_it() -> None:
    time = Time()
    share = share_of(time)

    async def preempted() -> None:
        time.now += 1.0
        time.worked += 0.002
        await asyncio.sleep(0)

    share.here("agent b")
    for _ in range(10):
        await share.run("agent a", preempted())
    begun = time.now
    share.here("agent b")
    await share.run("agent a", time.work(0.0))
    assert time.now - begun < 0.1, "and not ten seconds"


@pytest.mark.requirement("NEIGHBOUR-06")
async def test_the_processor_time_is_asked_for_once_a_millisecond_and_after_longer_steps() -> None:
    time = Time()
    asked: list[float] = []

    def worked() -> float:
        asked.append(time.now)
        return time.worked

    share = LoopShare(now=lambda: time.now, worked=worked, sleep=time.sleep)
    begun = time.now
    for _ in range(100):
        await share.run("agent a", time.work(0.0008, steps=20))
    assert 0 < len(asked) <= (time.now - begun) / MARKED_SECONDS + 1
    before = len(asked)
    await share.run("agent a", time.work(3 * SHORT_SECONDS, steps=1))
    assert len(asked) > before


@pytest.mark.requirement("NEIGHBOUR-06")
async def test_whoever_left_makes_nobody_wait_any_more() -> None:
    time = Time()
    share = share_of(time)
    share.here("agent b")
    await share.run("agent a", time.work(3.0))
    await share.run("agent a", time.work(0.01))
    assert time.waited <= PRESENT_SECONDS
    waited = time.waited
    await share.run("agent a", time.work(1.0))
    await share.run("agent a", time.work(1.0))
    assert time.waited == waited


@pytest.mark.requirement("NEIGHBOUR-06")
async def test_whoever_was_alone_owes_a_moment_of_it_when_another_comes() -> None:
    time = Time()
    share = share_of(time)
    for _ in range(2_000):
        await share.run("agent a", time.work(0.02))
    assert time.waited == 0
    begun, greedy = time.now, 0.0
    waited = time.waited
    while time.now < begun + 10:
        share.here("agent b")
        await share.run("agent a", time.work(0.01))
        greedy += 0.01
        if greedy == 0.01:
            assert time.waited - waited <= OWED_SECONDS + 0.001
    # From then on it has its share, neither more nor less.
    assert 0.24 * 10 - 0.1 <= greedy <= 0.25 * (time.now - begun) + BURST_SECONDS + 0.01


@pytest.mark.requirement("NEIGHBOUR-06")
async def test_a_stranger_that_was_alone_owes_a_moment_of_it_when_an_agent_comes() -> None:
    time = Time()
    share = share_of(time)
    for _ in range(100):
        await share.turn("stranger", bytes_thrown=THROWN_MAX)
    assert time.waited == 0
    share.here("agent a")
    await share.turn("stranger")
    assert time.waited <= (THROWN_MAX / THROWN_BYTES + 1) * UNMEASURED_SECONDS / REFUSED_SHARE + 0.001


@pytest.mark.requirement("NEIGHBOUR-06")
@pytest.mark.parametrize("alone", [True, False])
async def test_of_a_long_message_is_owed_what_it_took_beside_another(alone: bool) -> None:
    time = Time()
    share = share_of(time)

    async def long() -> None:
        if not alone:
            share.here("agent b")
        await time.work(2.0, steps=20)
        share.here("agent b")
        await time.work(0.5, steps=20)

    await share.run("agent a", long())
    await share.run("agent a", time.work(0.01))
    owed = 0.5 if alone else 2.5
    # While the other is there: it is present for a while after its last message.
    expected = min(owed / 0.25 - 0.5, PRESENT_SECONDS - 0.5)
    assert expected - 0.1 <= time.waited <= expected + OWED_SECONDS + LOOK_SECONDS


@pytest.mark.requirement("NEIGHBOUR-06")
async def test_what_waits_waits_in_order_and_64_at_once_do_not_all_come_at_the_same_moment() -> None:
    time = Time()
    share = share_of(time)
    share.here("agent b")
    await share.run("agent a", time.work(0.1))
    order: list[int] = []
    most = [0, 0]

    async def one(number: int) -> None:
        order.append(number)
        most[0] += 1
        most[1] = max(most)
        await time.work(0.01)
        share.here("agent b")
        most[0] -= 1

    await asyncio.gather(*(share.run("agent a", one(number)) for number in range(64)))
    assert order == sorted(order)
    assert most[1] < 16


@pytest.mark.requirement("NEIGHBOUR-06")
async def test_what_a_message_raises_and_its_cancelling_pass_through() -> None:
    time = Time()
    share = share_of(time)

    async def fails() -> None:
        await asyncio.sleep(0)
        raise KeyError("it")

    with pytest.raises(KeyError):
        await share.run("agent a", fails())

    ended: list[str] = []

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("it")

    task = asyncio.create_task(share.run("agent a", waits()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["it"]


@pytest.mark.requirement("NEIGHBOUR-06")
async def test_sources_that_anybody_makes_up_take_no_memory_without_end() -> None:
    time = Time()
    share = share_of(time)
    pace = Pace(1.0, now=lambda: time.now)
    most = 0
    for number in range(3 * SOURCES_MAX):
        await share.turn(f"stranger {number}")
        pace.take(f"stranger {number}", 0.001)
        time.now += 1.0
        most = max(most, len(share._sources), len(pace._free_at))
    assert most == SOURCES_MAX


@pytest.mark.requirement("NEIGHBOUR-04")
async def test_what_an_agent_sends_a_second_is_bounded_and_no_other_waits_for_it() -> None:
    time = Time()
    pace = Pace(1_000.0, now=lambda: time.now)
    begun = time.now
    for _ in range(20):
        await time.sleep(max(0.0, pace.take("a", 500)))
    assert time.now - begun >= 20 * 500 / 1_000 - 2
    assert pace.take("b", 500) <= 0


@pytest.mark.requirement("NEIGHBOUR-07")
async def test_at_a_shared_door_all_of_one_user_take_one_room_and_no_other() -> None:
    time = Time()
    share = share_of(time)

    async def door(_: Any, __: Any, ___: Any) -> None:
        await time.work(0.05)

    async def asked(uid: int) -> float:
        peer = PeerCredentials(pid=1, uid=uid, gid=uid, started=0)
        channel = Channel(connection=1, sequence=1, peer=peer)
        waited = time.waited
        share.here("agent b")
        await shared(share, door)({"type": "http", "extensions": {CHANNEL_EXTENSION: channel}}, None, None)
        return time.waited - waited

    assert await asked(1001) == 0
    assert await asked(1001) > 0
    assert await asked(1002) == 0
    # Who came there makes nobody wait.
    alone = share_of(time)
    await shared(alone, door)({"type": "http", "client": ("192.0.2.1", 1)}, None, None)
    await alone.run("agent a", time.work(1.0))
    waited = time.waited
    await alone.run("agent a", time.work(1.0))
    assert time.waited == waited


@pytest.mark.requirement("NEIGHBOUR-06")
async def test_who_stops_others_keeps_them_waiting_and_waits_for_nobody() -> None:
    time = Time()
    share = share_of(time)
    asked: list[str] = []

    async def control(_: Any, __: Any, ___: Any) -> None:
        asked.append("it")

    async def ask(uid: int) -> None:
        channel = Channel(connection=1, sequence=1, peer=PeerCredentials(pid=1, uid=uid, gid=0, started=0))
        scope = {"type": "http", "extensions": {CHANNEL_EXTENSION: channel}}
        await preferred(share, control, uids=frozenset({0}))(scope, None, None)

    await share.run("agent a", time.work(1.0))
    await ask(1001)
    await share.run("agent a", time.work(0.01))
    assert time.waited == 0
    await ask(0)
    await share.run("agent a", time.work(0.01))
    assert time.waited > 0
    assert asked == ["it", "it"]

"""What a channel that fails, hangs, floods or lies can keep up: nothing but itself."""

from __future__ import annotations

import logging
import threading

import anyio
import pytest

from answerable.adapters.sqlite import SqliteDeliveryRegister
from answerable.core.approval.delivery import DigestLimits
from answerable.core.approval.route import Route
from answerable.errors import Unavailable
from answerable.flows.approval.notify_people import notify_people, reach_always
from answerable.flows.approval.sort_deliveries import AT_A_TIME
from answerable.flows.state.reach_desk import ReachLimits
from answerable.flows.state.walk_limits import WalkLimits
from answerable.ports.message_channel import Sent
from answerable.testing.registers import fresh
from tests.worlds.channel import LoudChannel, asked, never, notice, reach_bench
from tests.worlds.gateway import until

pytestmark = pytest.mark.anyio
MINUTE = 60.0


@pytest.mark.requirement("CHANNEL-04")
async def test_a_channel_that_is_down_rests_longer_each_time_and_says_why():
    reach = await reach_bench(limits=ReachLimits(at_once_max=1))
    reach.channel.always = Sent(state="down", why="the server cannot be reached")
    await asked(reach)
    pauses = []
    for _ in range(7):
        await reach.tell()
        state = reach.desk.register.open("email", now=0)
        assert state.error == "the server cannot be reached"
        pauses.append(state.next_at - reach.bench.clock.now())
        assert await reach.tell() == 0
        reach.bench.clock.advance(pauses[-1] / 1000)
    assert pauses == [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]
    reach.channel.always = Sent(state="taken")
    assert await reach.tell() == 2
    assert reach.desk.register.open("email", now=0).error == ""


@pytest.mark.requirement("CHANNEL-04")
async def test_a_channel_that_asks_to_wait_is_left_alone_for_so_long_and_no_longer_than_the_bound():
    for asked_for, waits in ((42.0, 42_000), (1e9, 300_000)):
        reach = await reach_bench(limits=ReachLimits(at_once_max=1))
        reach.channel.always = Sent(state="down", why="slow down", wait_seconds=asked_for)
        await asked(reach)
        await reach.tell()
        state = reach.desk.register.open("email", now=0)
        assert state.next_at - reach.bench.clock.now() == waits


@pytest.mark.requirement("CHANNEL-04")
async def test_a_clock_that_was_set_back_does_not_silence_a_channel():
    reach = await reach_bench()
    reach.channel.always = Sent(state="down", why="down")
    await asked(reach)
    await reach.tell()
    reach.channel.always = Sent(state="taken")
    reach.bench.clock.jump(-3_600)
    assert await reach.tell() == 2


@pytest.mark.requirement("CHANNEL-04")
async def test_a_channel_that_fails_in_its_own_code_is_down_and_ends_nothing(caplog):
    reach = await reach_bench(limits=ReachLimits(at_once_max=1))
    reach.channel.answers = [RuntimeError("bug")]
    await asked(reach)
    with caplog.at_level(logging.WARNING):
        assert await reach.tell() == 0
    assert reach.desk.register.open("email", now=0).error == "it failed: RuntimeError"
    reach.bench.clock.advance(MINUTE)
    assert await reach.tell() == 2


@pytest.mark.requirement("CHANNEL-04")
async def test_a_channel_that_hangs_keeps_up_neither_the_walk_nor_another_channel():
    stuck, quick = LoudChannel(), LoudChannel()
    stuck.wait = never
    reach = await reach_bench(
        routes=(Route(group="*", channel="stuck"), Route(group="*", channel="email")),
        channels={"stuck": stuck, "email": quick},
        limits=ReachLimits(try_seconds_max=3_600),
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            reach_always,
            reach.bench.recorder.ledger,
            reach.bench.authority,
            reach.bench.asking,
            reach.bench.live.link,
            reach.bench.walk.entropy,
        )
        await asked(reach)
        await until(lambda: len(quick.told) == 2, seconds=60)
        read = await reach.bench.act()
        assert read.outcome is not None
        assert stuck.told == []
        tasks.cancel_scope.cancel()


@pytest.mark.requirement("CHANNEL-04")
async def test_a_try_that_takes_too_long_is_given_up():
    reach = await reach_bench(limits=ReachLimits(try_seconds_max=0.01, at_once_max=1))
    reach.channel.wait = never
    await asked(reach)
    with anyio.fail_after(60):
        await reach.tell()
    assert "no answer within 0.01 seconds" in reach.desk.register.open("email", now=0).error


class Unwritable(SqliteDeliveryRegister):
    def open(self, channel, *, now):
        raise Unavailable("the disk is full", code="register.unavailable", port="register")

    def forget(self, *, before):
        raise Unavailable("the disk is full", code="register.unavailable", port="register")


@pytest.mark.requirement("CHANNEL-04")
async def test_a_register_that_fails_keeps_nobody_from_asking_or_answering(caplog):
    reach = await reach_bench(register=fresh(Unwritable))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            reach_always,
            reach.bench.recorder.ledger,
            reach.bench.authority,
            reach.bench.asking,
            reach.bench.live.link,
            reach.bench.walk.entropy,
        )
        waiting = await asked(reach)
        await until(lambda: "messages wait" in caplog.text and "not forgotten" in caplog.text, seconds=60)
        assert (await reach.bench.answer(waiting)).state == "approved"
        tasks.cancel_scope.cancel()


@pytest.mark.requirement("CHANNEL-06")
async def test_of_a_flood_a_person_is_told_a_few_one_by_one_and_of_the_rest_in_one_message():
    limits = ReachLimits(digest=DigestLimits(messages_max=3, window_ms=600_000))
    reach = await reach_bench(limits=limits)
    for amount in range(6_000, 6_012):
        await asked(reach, amount)
    await reach.tell()
    for person in ("bob@example.com", "carol@example.com"):
        kinds = [kind for address, kind in reach.channel.kinds() if address == person]
        assert sorted(kinds) == ["asked"] * 3 + ["digest"]
    (title,) = {message.title for _, message in reach.channel.told if message.kind == "digest"}
    assert title == "9 more actions wait for your answer"
    # More of the same wait for the next window, in which they are told together again.
    await asked(reach, 7_000)
    assert await reach.tell() == 0
    reach.bench.clock.advance(601)
    await asked(reach, 7_001)
    await reach.tell()
    assert len([kind for _, kind in reach.channel.kinds() if kind == "asked"]) == 6 + 4


@pytest.mark.requirement("CHANNEL-06")
async def test_what_was_told_in_one_message_is_not_told_again_when_it_is_over():
    limits = ReachLimits(digest=DigestLimits(messages_max=1, window_ms=600_000))
    reach = await reach_bench(limits=limits)
    first, second = await asked(reach), await asked(reach, 6_001)
    await reach.tell()
    await reach.bench.answer(first)
    await reach.bench.answer(second)
    await reach.tell()
    assert [kind for _, kind in reach.channel.kinds()].count("ended") == 2


@pytest.mark.requirement("CHANNEL-03")
async def test_a_crash_after_a_channel_took_it_tells_it_once_more_under_the_same_name():
    reach = await reach_bench()
    await asked(reach)
    register = reach.desk.register

    class Crashing:
        """Fails where it is put down that something was told."""

        def __getattr__(self, name):
            return getattr(register, name)

        def keep(self, deliveries):
            if any(one.told for one in deliveries):
                raise Unavailable("the disk is full", code="register.unavailable", port="register")
            register.keep(deliveries)

    reach.desk.register = Crashing()
    with pytest.raises(Unavailable):
        await notify_people(
            reach.bench.recorder.ledger,
            reach.bench.authority,
            reach.bench.asking,
            reach.bench.live.link,
            reach.bench.walk.entropy,
            "email",
        )
    before = {(address, message.id) for address, message in reach.channel.told}
    reach.desk.register = register
    await reach.restarted().tell()
    assert {(address, message.id) for address, message in reach.channel.told} == {
        (f"{name}@example.com", next(iter(before))[1]) for name in ("bob", "carol")
    }
    assert len(reach.channel.told) > 2


@pytest.mark.requirement("CHANNEL-04")
async def test_however_many_wait_what_can_still_be_answered_is_told_before_what_is_over():
    limits = ReachLimits(at_once_max=1, digest=DigestLimits(messages_max=100, window_ms=1_000))
    reach = await reach_bench(limits=limits, limits_of_walk=WalkLimits(approvals_pending_per_agent_max=100))
    over = [await asked(reach, 6_000 + number) for number in range(45)]
    await reach.tell()
    for one in over:
        await reach.bench.answer(one, verdict="deny")
    reach.bench.clock.advance(2)
    await asked(reach, 9_000)
    reach.channel.told.clear()
    await notify_people(
        reach.bench.recorder.ledger,
        reach.bench.authority,
        reach.bench.asking,
        reach.bench.live.link,
        reach.bench.walk.entropy,
        "email",
    )
    assert [kind for _, kind in reach.channel.kinds()][:2] == ["asked", "asked"]
    assert len(reach.channel.told) == AT_A_TIME
    await reach.tell()
    assert [kind for _, kind in reach.channel.kinds()].count("ended") == 90


@pytest.mark.requirement("CHANNEL-03")
async def test_a_slow_register_has_no_channel_tell_a_notice_twice():
    """Each channel's task finds the same notices: the last one to put them down must not undo what was told."""
    first, second = LoudChannel(), LoudChannel()
    reach = await reach_bench(
        routes=(Route(group="*", channel="email"), Route(group="*", channel="other")),
        channels={"email": first, "other": second},
    )
    register, slow = reach.desk.register, threading.Event()

    class Slow:
        """Of several who put the same down, the first is done when the others have had their turn."""

        waits = True

        def __getattr__(self, name):
            return getattr(register, name)

        def keep(self, deliveries):
            if not deliveries[0].told and self.waits:
                self.waits = False
                slow.wait(20)
            register.keep(deliveries)

    reach.desk.register = Slow()
    reach.desk.notify(notice())

    async def other() -> None:
        with anyio.move_on_after(1):
            await notify_people(
                reach.bench.recorder.ledger,
                reach.bench.authority,
                reach.bench.asking,
                reach.bench.live.link,
                reach.bench.walk.entropy,
                "other",
            )
        slow.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            notify_people,
            reach.bench.recorder.ledger,
            reach.bench.authority,
            reach.bench.asking,
            reach.bench.live.link,
            reach.bench.walk.entropy,
            "email",
        )
        tasks.start_soon(other)
    await reach.tell("email")
    await reach.tell("other")
    for channel in (first, second):
        assert len(channel.told) == len({address for address, _ in channel.told}) == 3


@pytest.mark.requirement("CHANNEL-04")
async def test_more_than_is_planned_in_one_round_is_planned_in_the_next(monkeypatch):
    monkeypatch.setattr("answerable.flows.approval.notify_people.PLANNED_AT_A_TIME", 10)
    monkeypatch.setattr("answerable.flows.approval.notify_people.APPROVALS_AT_A_TIME", 5)
    limits = ReachLimits(digest=DigestLimits(messages_max=100, window_ms=1_000))
    reach = await reach_bench(limits=limits)
    for number in range(12):
        await asked(reach, 6_000 + number)
    assert (
        await notify_people(
            reach.bench.recorder.ledger,
            reach.bench.authority,
            reach.bench.asking,
            reach.bench.live.link,
            reach.bench.walk.entropy,
            "email",
        )
        == 10
    )
    await reach.tell()
    assert len({message.id for _, message in reach.channel.told}) == 12
    assert len(reach.channel.told) == 24


@pytest.mark.requirement("CHANNEL-02")
async def test_a_notice_goes_on_the_routes_of_its_own_group_alone():
    reach = await reach_bench(routes=(Route(group="sales", channel="email"),))
    reach.desk.notify(notice())
    assert await reach.tell() == 0
    reach.desk.notify(notice(2, group="sales"))
    assert await reach.tell() == 1

"""A broker whose targets hang, lie or give up from within, and warrants that wait too long for their turn."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import anyio
import anyio.lowlevel
import pytest

from answerable.core.identity.names.principal import UnixMillis
from answerable.errors import AnswerableError, Unavailable, Unverified
from answerable.flows.leases.lease_credential import _named
from answerable.flows.leases.lease_desk import DeskTarget, LeaseLimits
from answerable.flows.leases.perform_leased import perform_leased
from answerable.flows.leases.revoke_lease import begin, end_within
from tests.worlds.lease import LeaseWorld, quiet, until, warrant

pytestmark = pytest.mark.anyio

ARGUMENTS = {"key": "case-1"}


class Odd:
    """A memory target, some of whose answers are others."""

    def __init__(self, target, **answers) -> None:
        self._target = target
        self.answers = answers

    def __getattr__(self, name):
        return self.answers[name] if name in self.answers else getattr(self._target, name)


def a_world() -> LeaseWorld:
    world = LeaseWorld()
    world.target().values["case-1"] = "open"
    return world


async def gives_up(*_: object) -> None:
    await anyio.lowlevel.checkpoint()
    raise asyncio.CancelledError


@pytest.mark.requirement("LEASE-05")
async def test_a_revocation_that_gives_up_from_within_is_on_record_and_tried_again():
    """Libraries raise a cancellation when their connection breaks. Taken for ours, nobody would try again."""
    world = a_world()
    odd = Odd(world.target(), revoke=gives_up)
    async with world.broker(targets={"one": DeskTarget.of(odd, world.target(), LeaseLimits())}) as desk:
        now = world.clock.now()
        for number in (1, 2, 3):
            await perform_leased(desk, warrant(number, window="task", now=now), "get", ARGUMENTS)
        end_within(desk, [("agent", "scout")], why="held")
        with anyio.fail_after(5):
            await quiet(desk)
        assert [one.state for one in desk.open.all()] == ["unrevoked"] * 3
        assert len(desk.open.unrevoked()) == 3
        odd.answers.clear()
        world.clock.advance(2)
        desk.due_changed.set()
        with anyio.fail_after(5):
            await until(lambda: not len(desk.open))
    assert await world.target().live() == ()


@pytest.mark.requirement("LEASE-05")
@pytest.mark.parametrize("what", ["issue", "connected"])
async def test_an_action_that_is_given_up_from_within_is_answered(what):
    world = a_world()

    class Connecting:
        async def __aenter__(self) -> None:
            await gives_up()

        async def __aexit__(self, *_: object) -> None:
            return None

    odd = Odd(world.target(), **{what: gives_up if what == "issue" else lambda _: Connecting()})
    async with world.broker(targets={"one": DeskTarget.of(odd, odd, LeaseLimits())}) as desk:
        with pytest.raises(Unavailable) as caught:
            await perform_leased(desk, warrant(now=world.clock.now()), "get", ARGUMENTS)
        await quiet(desk)
        assert caught.value.effect == ("none" if what == "issue" else "unknown")
        assert not len(desk.open)
    assert await world.target().live() == ()


@pytest.mark.requirement("LEASE-05")
@pytest.mark.parametrize(
    "answer",
    [None, "gone", 7, {"left": []}, KeyError("x"), RecursionError(), UnicodeDecodeError("a", b"", 0, 1, "x")],
)
async def test_an_issuer_that_answers_garbage_leaves_the_lease_unrevoked(answer):
    world = a_world()

    async def lies(_: object) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    odd = Odd(world.target(), revoke=lies)
    async with world.broker(targets={"one": DeskTarget.of(odd, world.target(), LeaseLimits())}) as desk:
        one = warrant(window="task", now=world.clock.now())
        await perform_leased(desk, one, "get", ARGUMENTS)
        end_within(desk, [("agent", "scout")], why="held")
        await quiet(desk)
        assert [lease.name for lease in desk.open.unrevoked()] == [one.lease.name]
    assert len(await world.target().live()) == 1


@pytest.mark.requirement("LEASE-03")
async def test_a_warrant_that_waited_past_its_deadline_for_its_turn_does_nothing():
    """Its intent may have been settled meanwhile, as one whose end nobody knows."""
    world = a_world()
    limits = LeaseLimits(actions_per_target=1)
    async with world.broker(limits) as desk:
        one = warrant(now=world.clock.now())
        slot = desk.targets["one"].acting
        await slot.acquire()
        caught = []

        async def act() -> None:
            try:
                await perform_leased(desk, one, "get", ARGUMENTS)
            except AnswerableError as error:
                caught.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(act)
            await until(lambda: slot.statistics().tasks_waiting == 1)
            world.clock.advance(11)
            assert world.clock.now() < one.lease.expires_at
            slot.release()
        (late,) = caught
        assert isinstance(late, Unverified)
        assert late.code == "warrant.late"
    assert world.target().done == []
    assert world.register.last_change() == 0


@pytest.mark.requirement("LEASE-05")
async def test_ten_thousand_leases_at_a_target_that_hangs_delay_neither_ends_nor_actions_of_others():
    world = a_world()
    world.target("two").values["case-1"] = "open"

    async def hangs(_: object) -> None:
        await anyio.sleep_forever()

    limits = LeaseLimits(revoke_seconds_max=600)
    targets = {
        "one": DeskTarget.of(Odd(world.target(), revoke=hangs), world.target(), limits),
        "two": DeskTarget.of(world.target("two"), world.target("two"), limits),
    }
    now = world.clock.now()
    crowd = [_named(replace(warrant(number, now=now)), now) for number in range(100, 10_100)]
    world.register.put(crowd)
    async with world.broker(limits, targets=targets) as desk:
        assert len(desk.ending) == 10_000
        held = warrant(2, window="task", target="two", now=UnixMillis(now))
        await perform_leased(desk, held, "get", ARGUMENTS)
        begin(desk, [held.lease.name], why="held")
        with anyio.fail_after(5):
            await until(lambda: held.lease.name not in desk.open)
            await perform_leased(desk, warrant(3, target="two", now=now), "get", ARGUMENTS)
        assert len(desk.ending) == 10_000


@pytest.mark.requirement("LEASE-05")
async def test_leases_that_hang_each_time_delay_no_first_end_at_their_own_target():
    """Rights that others depend on, or a table that others hold: the target is well, and some leases do not go."""
    world = a_world()
    stuck = {warrant(number, now=0).lease.name for number in range(100, 140)}

    async def some_hang(name: str) -> object:
        if name in stuck:
            await anyio.sleep_forever()
        return await world.target().revoke(name)

    limits = LeaseLimits(revoke_seconds_max=600)
    odd = Odd(world.target(), revoke=some_hang)
    now = world.clock.now()
    before = [
        _named(warrant(number, now=now), now).unrevoked(now, "it hung", why="held", jitter=0.0)
        for number in range(100, 140)
    ]
    world.register.put(before)
    async with world.broker(limits, targets={"one": DeskTarget.of(odd, world.target(), limits)}) as desk:
        assert len(desk.ending) == 40
        fresh = warrant(2, window="task", now=now)
        await perform_leased(desk, fresh, "get", ARGUMENTS)
        begin(desk, [fresh.lease.name], why="held")
        with anyio.fail_after(5):
            await until(lambda: fresh.lease.name not in desk.open)
            await perform_leased(desk, warrant(3, now=now), "get", ARGUMENTS)
        assert len(desk.ending) == 40
        stuck.clear()
    async with world.broker(limits) as desk:
        await quiet(desk)
        assert not len(desk.open)

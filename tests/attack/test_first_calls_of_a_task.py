"""The first calls of a task come at once: one of them opens the lease, and the others wait for it and use it."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest

from answerable.core.identity.names.principal import UnixMillis
from answerable.errors import AnswerableError, Unavailable
from answerable.errors.codes.leases import LEASE_TARGET
from answerable.flows.leases.lease_desk import DeskTarget, LeaseLimits
from answerable.flows.leases.perform_leased import perform_leased
from answerable.flows.leases.revoke_lease import end_within
from answerable.testing.registers import fresh_leases
from tests.worlds.lease import LeaseWorld, quiet, until, warrant

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("LEASE-18")]

CALLS = 6
ARGUMENTS = {"key": "case-1"}


class Slow:
    """A memory target whose issuing waits; it may fail then."""

    def __init__(self, target, *, fails: bool = False) -> None:
        self._target, self._fails = target, fails
        self.begun, self.go_on = anyio.Event(), anyio.Event()
        self.orders = []

    def __getattr__(self, name):
        return getattr(self._target, name)

    async def issue(self, order):
        self.orders.append(order.name)
        credential = await self._target.issue(order)
        self.begun.set()
        await self.go_on.wait()
        if self._fails:
            raise LEASE_TARGET("the server refuses it", effect="unknown")
        return credential


class SlowRegister:
    """A register whose writes take a moment, so that calls meet while the lease is being named."""

    def __init__(self) -> None:
        self._register = fresh_leases()

    def __getattr__(self, name):
        return getattr(self._register, name)

    def redeem(self, redemptions):
        time.sleep(0.02)
        return self._register.redeem(redemptions)


def a_world() -> tuple[LeaseWorld, Slow]:
    world = LeaseWorld(register=SlowRegister())
    world.target().values["case-1"] = "open"
    return world, Slow(world.target())


def targets_of(slow: Slow, world: LeaseWorld) -> dict[str, DeskTarget]:
    return {"one": DeskTarget.of(slow, world.target(), LeaseLimits())}


class Calls:
    """Calls of one task, and what each was answered: `done`, or the code and the effect of its error."""

    def __init__(self, desk, tasks, now) -> None:
        self._desk, self._tasks, self._now = desk, tasks, now
        self.told: list[str] = []
        self.scopes: list[anyio.CancelScope] = []

    def start(self, count: int, *, first: int = 1) -> None:
        for number in range(first, first + count):
            self._tasks.start_soon(self._call, number)

    async def _call(self, number: int) -> None:
        with anyio.CancelScope() as scope:
            self.scopes.append(scope)
            try:
                one = warrant(number, name=1, window="task", now=self._now)
                await perform_leased(self._desk, one, "get", ARGUMENTS)
                self.told.append("done")
            except AnswerableError as error:
                self.told.append(f"{error.code} {error.effect}")


async def test_calls_that_come_at_once_share_one_lease():
    world, slow = a_world()
    slow.go_on.set()
    async with world.broker(targets=targets_of(slow, world)) as desk:
        async with anyio.create_task_group() as tasks:
            calls = Calls(desk, tasks, world.clock.now())
            calls.start(CALLS)
        assert calls.told == ["done"] * CALLS
    assert len(slow.orders) == 1
    assert len(world.target().done) == CALLS


async def test_a_credential_that_could_not_be_minted_fails_all_calls_with_that_failure():
    world, _ = a_world()
    slow = Slow(world.target(), fails=True)
    async with world.broker(targets=targets_of(slow, world)) as desk:
        async with anyio.create_task_group() as tasks:
            calls = Calls(desk, tasks, world.clock.now())
            calls.start(CALLS)
            await slow.begun.wait()
            slow.go_on.set()
        await quiet(desk)
        assert calls.told == ["lease.target none"] * CALLS
        assert not len(desk.open)
    assert len(slow.orders) == 1
    assert await world.target().live() == ()


async def test_a_first_call_that_is_cancelled_fails_no_other():
    world, slow = a_world()
    async with world.broker(targets=targets_of(slow, world)) as desk:
        async with anyio.create_task_group() as tasks:
            calls = Calls(desk, tasks, world.clock.now())
            calls.start(CALLS)
            await slow.begun.wait()
            calls.scopes[0].cancel()
            await anyio.sleep(0.01)
            slow.go_on.set()
        assert calls.told == ["done"] * (CALLS - 1)
        assert len(slow.orders) == 1


async def test_a_credential_that_no_call_waits_for_any_more_is_ended():
    world, slow = a_world()
    async with world.broker(targets=targets_of(slow, world)) as desk:
        async with anyio.create_task_group() as tasks:
            calls = Calls(desk, tasks, world.clock.now())
            calls.start(CALLS)
            await slow.begun.wait()
            for scope in calls.scopes:
                scope.cancel()
        with anyio.fail_after(60):
            await until(lambda: not len(desk.open) and not desk.issuing)
        assert calls.told == []
    assert await world.target().live() == ()
    (ended,) = world.register.ended(10)
    assert ended.why == "the call ended"


async def test_a_stop_ends_the_wait_at_once():
    """The server does not answer for as long as it likes; those who wait hear of the stop before."""
    world, slow = a_world()
    async with world.broker(targets=targets_of(slow, world)) as desk:
        async with anyio.create_task_group() as tasks:
            calls = Calls(desk, tasks, world.clock.now())
            calls.start(CALLS)
            await slow.begun.wait()
            end_within(desk, [("mandate", "m-1")], why="the mandate was closed")
            with anyio.fail_after(60):
                await until(lambda: len(calls.told) == CALLS)
        await quiet(desk)
        assert calls.told == ["lease.ended none"] * CALLS
        assert not len(desk.open)
    assert await world.target().live() == ()
    assert world.target().done == []


async def test_a_stop_that_comes_while_the_lease_is_named_ends_it():
    world, slow = a_world()
    slow.go_on.set()
    async with world.broker(targets=targets_of(slow, world)) as desk:
        async with anyio.create_task_group() as tasks:
            calls = Calls(desk, tasks, world.clock.now())
            calls.start(CALLS)
            await until(lambda: bool(desk.issuing))
            assert end_within(desk, [("agent", "scout")], why="stopped")
        await quiet(desk)
        assert calls.told == ["lease.ended none"] * CALLS
        assert not len(desk.open)
    assert await world.target().live() == ()
    assert [one.why for one in world.register.ended(10)] in ([], ["stopped"])


async def test_who_waits_does_so_until_the_deadline_and_then_nothing_is_done():
    world, slow = a_world()
    async with world.broker(targets=targets_of(slow, world)) as desk:
        async with anyio.create_task_group() as tasks:
            now = world.clock.now()
            calls = Calls(desk, tasks, now)
            calls.start(1)
            await slow.begun.wait()
            soon = replace(warrant(2, name=1, window="task", now=now), deadline=UnixMillis(now + 50))
            with pytest.raises(AnswerableError) as late:
                await perform_leased(desk, soon, "get", ARGUMENTS)
            slow.go_on.set()
        assert late.value.code == "warrant.late"
        assert calls.told == ["done"]


async def test_a_register_that_cannot_be_written_leaves_nothing_begun():
    world, slow = a_world()

    def fails(_):
        raise Unavailable("the disk is full", code="register.unavailable", port="lease_register")

    world.register.redeem = fails
    async with world.broker(targets=targets_of(slow, world)) as desk:
        async with anyio.create_task_group() as tasks:
            calls = Calls(desk, tasks, world.clock.now())
            calls.start(CALLS)
        assert calls.told == ["register.unavailable none"] * CALLS
        assert not len(desk.open)
        assert not desk.issuing
    assert slow.orders == []


class Sessions:
    """A target of which a lease has two sessions. A call works until it is let go."""

    def __init__(self, target) -> None:
        self._target = target
        self.let_go = anyio.Event()
        self.now, self.most = 0, 0

    def __getattr__(self, name):
        return getattr(self._target, name)

    @asynccontextmanager
    async def connected(self, credential):
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            async with self._target.connected(credential) as session:
                await self.let_go.wait()
                yield session
        finally:
            self.now -= 1


def in_turns(world: LeaseWorld) -> tuple[Sessions, dict[str, DeskTarget]]:
    sessions = Sessions(world.target())
    return sessions, {"one": DeskTarget.of(sessions, sessions, LeaseLimits(), sessions_max=2)}


async def test_calls_wait_for_a_free_session_of_their_lease():
    world, _ = a_world()
    sessions, targets = in_turns(world)
    async with world.broker(targets=targets) as desk:
        async with anyio.create_task_group() as tasks:
            calls = Calls(desk, tasks, world.clock.now())
            calls.start(CALLS)
            await until(lambda: sessions.now == 2)
            await anyio.sleep(0.02)
            sessions.let_go.set()
        assert calls.told == ["done"] * CALLS
        assert sessions.most == 2
        assert not desk.turns


async def test_a_stop_ends_the_wait_for_a_session_at_once():
    world, _ = a_world()
    sessions, targets = in_turns(world)
    async with world.broker(targets=targets) as desk:
        async with anyio.create_task_group() as tasks:
            calls = Calls(desk, tasks, world.clock.now())
            calls.start(CALLS)
            await until(lambda: sessions.now == 2)
            end_within(desk, [("agent", "scout")], why="stopped")
            with anyio.fail_after(60):
                await until(lambda: len(calls.told) == CALLS - 2)
            assert calls.told == ["lease.ended none"] * (CALLS - 2)
            sessions.let_go.set()
        await quiet(desk)
        assert not desk.turns


async def test_a_call_waits_for_a_session_until_its_deadline_at_most():
    world, _ = a_world()
    sessions, targets = in_turns(world)
    async with world.broker(targets=targets) as desk:
        async with anyio.create_task_group() as tasks:
            now = world.clock.now()
            calls = Calls(desk, tasks, now)
            calls.start(2)
            await until(lambda: sessions.now == 2)
            soon = replace(warrant(3, name=1, window="task", now=now), deadline=UnixMillis(now + 50))
            with pytest.raises(AnswerableError) as late:
                await perform_leased(desk, soon, "get", ARGUMENTS)
            sessions.let_go.set()
        assert late.value.code == "warrant.late"
        assert calls.told == ["done"] * 2

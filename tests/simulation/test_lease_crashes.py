"""A broker that dies at every step: before or after each call of a port, with an action of each window under way."""

from __future__ import annotations

import anyio
import pytest

from answerable.adapters.sqlite.leases import SqliteLeaseRegister
from answerable.errors import AnswerableError
from answerable.flows.leases.lease_desk import DeskTarget, LeaseLimits
from answerable.flows.leases.perform_leased import perform_leased
from answerable.flows.leases.revoke_lease import end_within
from tests.worlds.lease import LeaseWorld, quiet, warrant

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("LEASE-04")]

STEPS_MAX = 200


class _Killed(Exception):
    """The process is gone in the middle of a call."""


class _Fate:
    """At the call of this number everything ends, before it took effect or after."""

    def __init__(self, step: int, *, after: bool) -> None:
        self._left, self._after = step, after
        self.is_dead = False

    def before(self) -> None:
        if self.is_dead:
            raise _Killed
        self._left -= 1
        if self._left == 0 and not self._after:
            self.is_dead = True
            raise _Killed

    def after(self) -> None:
        if self._left == 0 and not self.is_dead:
            self.is_dead = True
        if self.is_dead:
            raise _Killed


class _Mortal:
    """A port whose calls may be the last of this process."""

    def __init__(self, port: object, fate: _Fate, steps: tuple[str, ...]) -> None:
        self._port, self._fate, self._steps = port, fate, steps

    def __getattr__(self, name: str) -> object:
        found = getattr(self._port, name)
        if name not in self._steps:
            return found
        if name in ("redeem", "put"):

            def called(*given: object) -> object:
                self._fate.before()
                answer = found(*given)
                self._fate.after()
                return answer

            return called

        async def awaited(*given: object) -> object:
            self._fate.before()
            answer = await found(*given)
            self._fate.after()
            return answer

        return awaited


async def _life(world: LeaseWorld, fate: _Fate) -> None:
    """One action of its own, two of a task window, and a hold on all of it, as far as this process lives."""
    limits = LeaseLimits()
    mortal = _Mortal(world.target(), fate, ("issue", "revoke"))
    register = world.register
    world.register = _Mortal(register, fate, ("redeem", "put"))
    try:
        async with world.broker(limits, targets={"one": DeskTarget.of(mortal, mortal, limits)}) as desk:
            now = world.clock.now()
            for one in (
                warrant(1, now=now),
                warrant(2, window="task", now=now),
                warrant(3, name=2, window="task", now=now),
            ):
                await perform_leased(desk, one, "get", {"key": "case-1"})
            end_within(desk, [("agent", "scout")], why="held")
            await quiet(desk)
    finally:
        world.register = register


def _is_killed(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_killed(one) for one in error.exceptions)
    return isinstance(error, _Killed | AnswerableError)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_wherever_it_dies_what_is_live_has_a_name_and_the_next_start_ends_it(tmp_path, after):
    deaths = 0
    for step in range(1, STEPS_MAX):
        directory = tmp_path / str(step)
        register = SqliteLeaseRegister(directory / "leases.db")
        world = LeaseWorld(register=register)
        world.target().values["case-1"] = "open"
        fate = _Fate(step, after=after)
        try:
            with anyio.fail_after(5):
                await _life(world, fate)
        except BaseException as error:
            if not _is_killed(error):
                raise
        deaths += fate.is_dead
        live = await world.target().live()
        named = {lease.name for lease in world.register.open_leases()}
        assert set(live) <= named, f"step {step}: live and without a name"
        register.close()
        # The next process, on what the disk holds.
        world.register = SqliteLeaseRegister(directory / "leases.db")
        async with world.broker() as desk:
            await quiet(desk)
            assert len(desk.open) == 0
        assert await world.target().live() == (), f"step {step}"
        assert list(world.register.open_leases()) == []
        register.close()
        if not fate.is_dead:
            break
    assert deaths >= 10
    assert not fate.is_dead, "some run lives to its end"

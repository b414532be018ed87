"""A broker that dies at every step of a rotation, and again at every step of the next start: it is never locked out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import anyio
import pytest

from answerable.adapters.secret_store import Keyring, SealedSecretStore
from answerable.errors import Refused, Unavailable
from answerable.flows.leases.rotate_account import OwnSecret, rotate_account
from answerable.flows.leases.rotate_due import keep_rotating
from answerable.flows.leases.secret_desk import SecretState, look
from answerable.testing.clock import ManualClock
from answerable.testing.entropy import SeededEntropy
from tests.worlds.lease import until

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SECRET-06")]

NAME = "shop-db-password"
FIRST = "the-first-password"
STEPS_MAX = 80
SECOND_STRIDE = 4
"""How far apart the second deaths are: which meets which changes with every first one."""
SYSTEM = ("open", "fsync", "replace")


class _Killed(BaseException):
    """The process is gone: nothing of ours cleans up after it."""


class _Fate:
    """At the step of this number everything ends, before it took effect or after."""

    def __init__(self, step: int, *, after: bool) -> None:
        self.left, self._after = step, after
        self.is_dead = False

    def before(self) -> None:
        if self.is_dead:
            raise _Killed
        self.left -= 1
        if self.left == 0 and not self._after:
            self.is_dead = True
            raise _Killed

    def after(self) -> None:
        if self.left == 0 and self._after:
            self.is_dead = True
            raise _Killed


class _Account:
    """A target's account: it takes one password, and outlives every broker."""

    place = "memory answerable"

    def __init__(self) -> None:
        self.taken = FIRST
        self.fate = _Fate(0, after=False)
        self.is_away = False
        self.cut = 0

    async def set_to(self, new: str, *, known: Sequence[str], cuts: bool) -> None:
        self.fate.before()
        if self.is_away:
            raise Unavailable("no answer", code="account.target", port="own_account")
        if self.taken not in known:
            raise Refused("none of them", code="account.refused")
        self.taken = new
        self.cut += cuts
        self.fate.after()

    async def takes(self, value: str) -> bool:
        self.fate.before()
        return value == self.taken


def _store(folder: Path, clock: ManualClock, seed: int) -> SealedSecretStore:
    entropy = SeededEntropy(seed)
    return SealedSecretStore.open(
        folder / "secrets", Keyring(folder / "keyring", entropy), clock=clock, entropy=entropy
    )


def _kept(store: SealedSecretStore) -> list[str]:
    found = store.candidates(NAME, by="test")
    prepared = (found.prepared,) if found.prepared is not None else ()
    return [one.text for one in (found.current, *prepared, *found.before)]


@pytest.fixture
def system(monkeypatch):
    """Every call to the system that keeps something may be the last, too."""
    fate = [_Fate(0, after=False)]

    def mortal(name: str):
        real = getattr(os, name)

        def called(*given: object, **named: object) -> object:
            fate[0].before()
            # A killed process loses nothing that was written: only a machine needs it on the disk.
            answer = None if name == "fsync" else real(*given, **named)
            fate[0].after()
            return answer

        return called

    with monkeypatch.context() as patched:
        for name in SYSTEM:
            patched.setattr(os, name, mortal(name))
        yield fate


async def _life(
    folder: Path, clock: ManualClock, account: _Account, fate: _Fate, system: list[_Fate], seed: int
):
    system[0] = account.fate = fate
    try:
        own = OwnSecret(name=NAME, account=account)
        await rotate_account(_store(folder, clock, seed), own, SeededEntropy(seed))
    except _Killed:
        pass
    finally:
        system[0] = account.fate = _Fate(0, after=False)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_wherever_it_dies_and_dies_again_one_that_the_target_takes_is_kept(tmp_path, system, after):
    deaths = 0
    for first in range(1, STEPS_MAX):
        second = 0
        while True:
            folder = tmp_path / f"{first}-{second}"
            clock, account = ManualClock(), _Account()
            store = _store(folder, clock, 1)
            store.put(NAME, FIRST.encode(), kind="static", owner="", about="", rotate_days=30)
            lives = [_Fate(first, after=after), *([_Fate(second, after=after)] if second else [])]
            for number, fate in enumerate(lives):
                clock.advance(1)
                await _life(folder, clock, account, fate, system, 2 + number)
                assert account.taken in _kept(_store(folder, clock, 9)), (first, second, number)
            deaths += lives[0].is_dead
            again = _store(folder, clock, 10)
            await rotate_account(again, OwnSecret(name=NAME, account=account), SeededEntropy(11))
            assert again.check_out(NAME, by="test").text == account.taken != FIRST
            assert again.listed()[0].prepared_at == 0
            if not lives[-1].is_dead:
                break
            second = second + SECOND_STRIDE if second else 1 + first % SECOND_STRIDE
        if not lives[0].is_dead:
            break
    assert deaths >= 50
    assert not lives[0].is_dead, "some run lives to its end"


def test_a_killed_rotation_holds_no_later_one_up_and_two_at_a_time_are_refused(tmp_path):
    store = _store(tmp_path, ManualClock(), 1)
    store.put(NAME, FIRST.encode(), kind="static", owner="", about="", rotate_days=30)
    other = _store(tmp_path, ManualClock(), 2)
    with store.rotating(NAME):
        with pytest.raises(Refused) as busy, other.rotating(NAME):
            pass
        assert busy.value.code == "secret.rotating"
    with other.rotating(NAME):
        pass
    child = os.fork()
    if not child:
        other.rotating(NAME).__enter__()
        os._exit(0)
    os.waitpid(child, 0)
    with store.rotating(NAME):
        pass


async def _rotating(desk: SecretState, tasks) -> None:
    await look(desk)
    tasks.start_soon(keep_rotating, desk)


@pytest.mark.requirement("SECRET-07")
async def test_the_running_broker_rotates_on_the_day_and_after_exposure_and_goes_on_where_a_crash_left_it(
    tmp_path,
):
    clock, account = ManualClock(), _Account()
    store = _store(tmp_path, clock, 1)
    store.put(NAME, FIRST.encode(), kind="static", owner="", about="", rotate_days=30)
    desk = SecretState(
        opens=lambda: store,
        clock=clock,
        entropy=SeededEntropy(3),
        own={NAME: OwnSecret(name=NAME, account=account)},
    )

    def version() -> int:
        current = store.listed()[0].current
        return current.number if current else 0

    async with anyio.create_task_group() as tasks:
        await _rotating(desk, tasks)
        await anyio.sleep(0.05)
        assert version() == 1, "nothing was due"
        clock.advance(30 * 86_400)
        desk.stirred.set()
        with anyio.fail_after(5):
            await until(lambda: version() == 2)
        assert account.taken != FIRST
        assert account.cut == 0
        clock.advance(1)
        store.expose(NAME, "seen in a ticket")
        await look(desk)
        with anyio.fail_after(5):
            await until(lambda: version() == 3)
        assert account.cut == 1, "whoever is in with the exposed one is cut off"
        await until(lambda: not desk.exposed)
        assert _kept(store) == [account.taken], "an exposed one is forgotten at once"
        clock.advance(1)
        store.prepare(NAME, b"left-by-a-crash-in-the-middle")
        await look(desk)
        with anyio.fail_after(5):
            await until(lambda: version() == 4)
        assert account.taken == "left-by-a-crash-in-the-middle"
        tasks.cancel_scope.cancel()


@pytest.mark.requirement("SECRET-07")
async def test_a_target_that_is_away_delays_no_other_and_is_tried_again_until_it_is_back(tmp_path, caplog):
    clock, away, there = ManualClock(), _Account(), _Account()
    away.is_away = True
    store = _store(tmp_path, clock, 1)
    for name in ("away", "hand", "there"):
        store.put(name, FIRST.encode(), kind="static", owner="", about="", rotate_days=1)
    clock.advance(2 * 86_400)
    desk = SecretState(
        opens=lambda: store,
        clock=clock,
        entropy=SeededEntropy(3),
        own={
            "away": OwnSecret(name="away", account=away),
            "there": OwnSecret(name="there", account=there),
            "hand": OwnSecret(name="hand", why_not="the provider alone can change it"),
        },
    )

    def said(text: str) -> int:
        return sum(text in one.getMessage() for one in caplog.records)

    async with anyio.create_task_group() as tasks:
        await _rotating(desk, tasks)
        with anyio.fail_after(5):
            await until(partial(lambda: there.taken != FIRST and said("secret away could not") == 1))
        await until(lambda: said("secret hand is to be replaced by hand") == 1)
        away.is_away = False
        for _ in range(3):
            desk.stirred.set()
            await anyio.sleep(0.01)
        assert away.taken == FIRST, "not before its pause is over"
        clock.advance(6)
        desk.stirred.set()
        with anyio.fail_after(5):
            await until(lambda: away.taken != FIRST)
        assert said("secret hand is to be replaced by hand") == 1, "once for each reason"
        assert there.taken not in caplog.text
        assert away.taken not in caplog.text
        tasks.cancel_scope.cancel()

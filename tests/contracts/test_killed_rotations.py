"""Rotations on real servers, killed at every moment and run beside logins: nobody is ever locked out."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path

import anyio
import pytest

from answerable.adapters.secret_store import Keyring, SealedSecretStore
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.flows.leases.rotate_account import OwnSecret, rotate_account
from answerable.targets.kind import BuiltTarget, TargetContext
from answerable.wiring.target_kinds import kind_named
from tests.probes.waiting import until
from tests.stand_ins.postgres_server import BROKER_PASSWORD
from tests.stand_ins.redis_server import ADMIN_PASSWORD, redis_server
from tests.worlds import postgres as postgres_world
from tests.worlds import redis_lease as redis_lease_world

pytestmark = pytest.mark.requirement("SECRET-06")

NAME = "own"
KILLS = 24
ROTATIONS = 6
ENTRANTS = 12
SECONDS_MAX = 60


class Bench:
    """A store on real files, and a target whose settings refer to it."""

    def __init__(self, folder: Path, kind: str, settings: dict[str, object], first: str) -> None:
        self.folder, self.kind = folder, kind_named(kind)
        self.settings = self.kind.settings(**settings, password=f"store:{NAME}")
        self.order = {"postgres": postgres_world.order, "redis": redis_lease_world.order}[kind]
        self.store().put(NAME, first.encode(), kind="static", owner="", about="", rotate_days=30)

    def store(self) -> SealedSecretStore:
        entropy = SystemEntropy()
        keyring = Keyring(self.folder / "keyring", entropy)
        return SealedSecretStore.open(self.folder / "secrets", keyring, clock=SystemClock(), entropy=entropy)

    def built(self) -> BuiltTarget:
        world = TargetContext(
            clock=SystemClock(),
            entropy=SystemEntropy(),
            secret_of=lambda _: self.store().check_out(NAME, by="test").text.encode(),
            others_of=lambda _: tuple(one.encode() for one in self.kept()[1:]),
        )
        return self.kind.build(self.settings, world)

    def kept(self) -> list[str]:
        found = self.store().candidates(NAME, by="test")
        prepared = (found.prepared,) if found.prepared is not None else ()
        return [one.text for one in (found.current, *prepared, found.current, *found.before)]

    async def rotate(self) -> None:
        account = self.built().own
        assert account is not None
        await rotate_account(self.store(), OwnSecret(name=NAME, account=account), SystemEntropy())

    async def enters(self) -> None:
        """The broker's account logs in, with nothing warm, and asks what is live."""
        issuer = self.built().issuer
        assert await issuer.live() == ()
        await issuer.close()

    async def acts(self) -> None:
        """One lease made and ended by an issuer that has nothing warm."""
        issuer = self.built().issuer
        credential = await issuer.issue(self.order())
        await issuer.revoke(credential.lease)
        await issuer.close()


@pytest.fixture(params=["postgres", "redis"])
def bench(request, tmp_path):
    if request.param == "postgres":
        with postgres_world.furnished_server() as server:
            settings = {"port": server.port, "databases": ("prod",)}
            yield Bench(tmp_path, "postgres", settings, BROKER_PASSWORD)
    else:
        with redis_server(with_file=True) as running:
            settings = {"address": running.address, "saves_users": True}
            yield Bench(tmp_path, "redis", settings, ADMIN_PASSWORD)


def _killed(bench: Bench, seconds: float) -> bool:
    """A process that rotates, killed after so long; whether it was."""
    ready, begun = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(begun, b".")
            anyio.run(bench.rotate)
            os._exit(0)
        finally:
            os._exit(1)
    os.read(ready, 1)
    os.close(ready)
    os.close(begun)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_a_rotation_that_is_killed_at_any_moment_leaves_a_password_that_the_server_takes(bench):
    begun = time.monotonic()
    anyio.run(bench.rotate)
    whole = time.monotonic() - begun
    killed = 0
    for number in range(KILLS):
        seconds = whole * 1.2 * number / KILLS
        if _killed(bench, seconds):
            killed += 1
        else:
            # The first one may have been slow: from here on this is how long one takes.
            whole = min(whole, seconds)
        anyio.run(bench.acts)
    assert killed >= KILLS / 4, "some died in the middle"
    anyio.run(bench.rotate)
    secret = bench.store().listed()[0]
    assert secret.prepared_at == 0
    anyio.run(bench.acts)
    current = bench.store().check_out(NAME, by="test").text
    account = bench.built().own
    assert account is not None
    assert anyio.run(account.takes, current)


def test_the_account_comes_in_all_the_while_that_passwords_change(bench):
    async def both() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(1, ENTRANTS + 1):
                tasks.start_soon(_entering, number)
            for _ in range(ROTATIONS):
                await bench.rotate()
                await _all_came_in()
            done.set()

    async def _all_came_in() -> None:
        """Whoever was on the way has ended, as on any schedule: no login sees a password change twice."""
        before = Counter(counted)
        everyone = range(1, ENTRANTS + 1)
        await until(lambda: all(Counter(counted)[one] > before[one] for one in everyone), seconds=SECONDS_MAX)

    async def _entering(number: int) -> None:
        while not done.is_set():
            await bench.enters()
            counted.append(number)

    counted: list[int] = []
    done = anyio.Event()
    anyio.run(both)
    assert set(counted) == set(range(1, ENTRANTS + 1))
    current = bench.store().listed()[0].current
    assert current is not None
    assert current.number == 1 + ROTATIONS

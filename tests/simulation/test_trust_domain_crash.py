"""A crash at every point of a trust domain's course, between key store and register and inside both: what the next
start finds, and real kills of a process on files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from answerable.adapters.local_keys import LocalAuthorityKeys
from answerable.adapters.sqlite import SqliteAuthorityRegister, SqliteStore
from answerable.core.identity.svid.authority import AuthoritySet
from answerable.core.identity.svid.x509_svid import verified_x509_svid
from answerable.flows.trust_domain.keep_trust_domain import TrustDomainState
from answerable.testing.registers import fresh_keys, fresh_store
from tests.probes import warm_starts
from tests.worlds.trust import DOMAIN, HOUR, WORKLOAD, TrustWorld, active_of, held, states, workload_key

pytestmark = pytest.mark.requirement("TRUST-12")

KEY = workload_key().public_key()


class Crash(BaseException):
    """The process is gone."""


class Point:
    """Where it crashes: at the call of this number, before or after it took effect."""

    def __init__(self) -> None:
        self.calls = 0
        self.at = 0
        self.after = False

    def arm(self, at: int, *, after: bool) -> None:
        self.calls, self.at, self.after = 0, at, after

    def run(self, call: Callable[[], object]) -> object:
        self.calls += 1
        if self.calls == self.at and not self.after:
            raise Crash
        result = call()
        if self.calls == self.at:
            raise Crash
        return result


class CrashingKeys(LocalAuthorityKeys):
    point: Point

    def create(self, name):
        return self.point.run(lambda: LocalAuthorityKeys.create(self, name))

    def destroy(self, name):
        return self.point.run(lambda: LocalAuthorityKeys.destroy(self, name))


class CrashingRegister(SqliteAuthorityRegister):
    def __init__(self, point: Point) -> None:
        super().__init__(fresh_store())
        self.point = point

    def replace(self, after: AuthoritySet, *, expected: int | None):
        return self.point.run(lambda: SqliteAuthorityRegister.replace(self, after, expected=expected))


def open_first(world: TrustWorld) -> None:
    world.desk()


def prepare_by_time(world: TrustWorld) -> None:
    world.clock.advance(12 * HOUR)
    world.desk().tend()


def change_by_time(world: TrustWorld) -> None:
    world.clock.advance(12 * HOUR)
    desk = world.desk()
    for _ in range(13):
        world.clock.advance(HOUR)
        desk.tend()


def run_out(world: TrustWorld) -> None:
    desk = world.desk()
    desk.rotate(activate=False)
    world.clock.advance(48 * HOUR)
    desk.tend()


def rotate_at_once(world: TrustWorld) -> None:
    world.desk().rotate(activate=True)


def remove_active(world: TrustWorld) -> None:
    desk = world.desk()
    desk.remove(active_of(desk))


def remove_both(world: TrustWorld) -> None:
    desk = world.desk()
    desk.rotate(activate=False)
    for authority in desk.authorities():
        desk.remove(authority.id)


COURSES = (open_first, prepare_by_time, change_by_time, run_out, rotate_at_once, remove_active, remove_both)


def crashed_world(
    course: Callable[[TrustWorld], None], at: int, *, after: bool
) -> tuple[TrustWorld, Point, bool]:
    point, keys = Point(), fresh_keys(CrashingKeys)
    keys.point = point
    world = TrustWorld(keys=keys, register=CrashingRegister(point))
    if course is not open_first:
        world.desk()
    point.arm(at, after=after)
    try:
        course(world)
    except Crash:
        return world, point, True
    return world, point, False


def check_alive(world: TrustWorld, desk: TrustDomainState) -> None:
    svid = world.issuer(desk).x509(WORKLOAD, KEY)
    assert verified_x509_svid((svid.leaf,), bundle_of=desk.bundle, now=world.clock.now()) == svid
    assert states(desk).count("active") == 1
    expected = {name for a in desk.authorities() if a.may_sign for name in (a.x509_key, a.jwt_key, a.wit_key)}
    assert isinstance(world.keys, CrashingKeys)
    assert held(world.keys) == expected, "no key that the register does not know, and none is missing"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("course", COURSES, ids=lambda course: course.__name__)
def test_after_a_crash_at_any_call_the_domain_opens_signs_and_has_no_stray_key(
    course: Callable[[TrustWorld], None], after: bool
) -> None:
    at, crashed = 0, True
    while crashed:
        at += 1
        world, point, crashed = crashed_world(course, at, after=after)
        published = world.register.read()
        point.arm(0, after=False)
        desk = world.desk()
        desk.tend()
        check_alive(world, desk)
        now = world.register.read()
        assert now is not None
        if published is not None:
            assert now.sequence >= published.sequence
            gone = {a.id for a in published.authorities if not a.is_published}
            assert not gone & {a.id for a in now.published}, "what was removed stays so"
    assert at > 3, "there were calls to crash at"


def test_a_crash_while_a_crash_is_cleaned_up_leaves_no_stray_key_either() -> None:
    for at in range(1, 12):
        for again in range(1, 12):
            for after in (False, True):
                world, point, _ = crashed_world(rotate_at_once, at, after=after)
                point.arm(again, after=after)
                with suppress(Crash):
                    world.desk().tend()
                point.arm(0, after=False)
                desk = world.desk()
                desk.tend()
                check_alive(world, desk)


# --- kills of a process -------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
from answerable.adapters.local_keys import LocalAuthorityKeys
from answerable.adapters.sqlite import SqliteAuthorityRegister, SqliteStore
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.core.identity.svid.authority import TrustLimits
from answerable.core.identity.names.spiffe_id import TrustDomain
from answerable.flows.trust_domain.keep_trust_domain import TrustDomainState

place, at, calls = Path(sys.argv[1]), int(sys.argv[2]), 0

def killing(kind, name):
    call = getattr(kind, name)
    def made(*given, **named):
        global calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*given, **named)
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(kind, name, made)

for name in ("create", "destroy"):
    killing(LocalAuthorityKeys, name)
killing(SqliteAuthorityRegister, "replace")
desk = TrustDomainState(
    domain=TrustDomain(sys.argv[3]),
    keys=LocalAuthorityKeys.open(place / "authorities"),
    register=SqliteAuthorityRegister(SqliteStore.open(place / "registers.db")),
    clock=SystemClock(),
    entropy=SystemEntropy(),
    limits=TrustLimits(),
)
desk.open()
desk.rotate(activate=False)
desk.remove(next(a.id for a in desk.authorities() if a.state == "active"))
"""


@pytest.mark.parametrize("at", [1, 3, 4, 6, 8, 10, 13, 17, 21, 23, 26, 30])
def test_after_kill_9_between_key_files_and_register_the_next_start_signs(at: int, tmp_path: Path) -> None:
    from answerable.adapters.system import SystemClock, SystemEntropy
    from answerable.core.identity.svid.authority import TrustLimits
    from answerable.flows.trust_domain.issue_svid import SvidIssuer

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [*warm_starts.program(KILLED), str(tmp_path), str(at), DOMAIN]
    ended = subprocess.run(arguments, env=environment, capture_output=True, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    store = SqliteStore.open(tmp_path / "registers.db")
    clock, entropy = SystemClock(), SystemEntropy()
    desk = TrustDomainState(
        domain=DOMAIN,
        keys=LocalAuthorityKeys.open(tmp_path / "authorities"),
        register=SqliteAuthorityRegister(store),
        clock=clock,
        entropy=entropy,
        limits=TrustLimits(),
    )
    desk.open()
    desk.tend()
    svid = SvidIssuer(desk=desk, clock=clock, entropy=entropy).x509(WORKLOAD, KEY)
    assert svid.id == WORKLOAD
    expected = {
        f"{name}.pem" for a in desk.authorities() if a.may_sign for name in (a.x509_key, a.jwt_key, a.wit_key)
    }
    assert {file.name for file in (tmp_path / "authorities").iterdir()} == expected
    store.close()

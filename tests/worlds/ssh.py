"""Leases of SSH and commands by them, as tests of the broker's side need them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import anyio

from answerable.adapters.system import SystemClock
from answerable.core.canonical import JSONValue, freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential, LeaseOrder, Performed
from answerable.core.lease.name import lease_name
from answerable.targets.kind import BuiltTarget
from tests.stand_ins.ssh_server import LOGIN


class ShiftedClock(SystemClock):
    """A broker's clock that is not the host's."""

    def __init__(self, seconds: int) -> None:
        self._milliseconds = seconds * 1000

    def now(self) -> UnixMillis:
        return UnixMillis(super().now() + self._milliseconds)


async def lease(
    target: BuiltTarget, command: tuple[str, ...], *, host: str = "web1", ttl: float = 60, ahead: float = 0
) -> Credential:
    grant: JSONValue = {"host": host, "login": LOGIN, "command": list(command)}
    ends = UnixMillis(int((time.time() + ahead + ttl) * 1000))
    order = LeaseOrder(name=lease_name(os.urandom(16)), scope=freeze(grant), expires_at=ends)
    return await target.issuer.issue(order)


async def done(
    target: BuiltTarget,
    credential: Credential,
    command: tuple[str, ...],
    *,
    host: str = "web1",
    seconds: float = 20,
) -> Performed:
    async with target.target.connected(credential) as session:
        arguments: Mapping[str, JSONValue] = {"host": host, "command": list(command)}
        return await session.perform("run", arguments, tag="", seconds_max=seconds)


def structured(performed: Performed) -> Mapping[str, object]:
    found = performed.result["structuredContent"]
    assert isinstance(found, dict)
    return found


async def until(holds: Callable[[], bool], *, seconds: float = 10) -> None:
    with anyio.fail_after(seconds):
        while not holds():  # noqa: ASYNC110 - of other processes
            await anyio.sleep(0.02)


def is_running(mark: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if mark.encode() in words and words[0] == sys.executable.encode():
            return True
    return False


def sleeper(mark: str) -> tuple[str, ...]:
    """A command that runs for long, ignores hang-ups and would go on without its client."""
    code = "import signal, time; signal.signal(signal.SIGHUP, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    return (sys.executable, "-c", code, mark)


def everything_told(folder: Path) -> list[str]:
    """Arguments and environments of all processes but this one, and every file of the test."""
    told = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        for name in ("cmdline", "environ") if int(pid) != os.getpid() else ():
            with suppress(OSError):
                told.append(Path("/proc", pid, name).read_bytes().decode(errors="replace"))
    return told + [path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file()]

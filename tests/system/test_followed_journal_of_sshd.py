"""The server follows the journal of a real sshd's host: sessions of ours are known, and others are recorded once."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from answerable.adapters.ssh_certificates import authority_of
from answerable.core.ledger.tags import Tag
from tests.stand_ins.journal_files import JournalFiles
from tests.stand_ins.ssh_server import LOGIN, SSHWorld
from tests.system.test_attributed_ssh import CAPABILITIES, ECHO, KEY, signs_in
from tests.worlds.brokered import Desk, desk_on, eventually
from tests.worlds.up import House

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("FOLLOW-10")]
UNKNOWN = "ans_" + "a" * 26
LATER = "ans_" + "b" * 25 + "a"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHWorld]:
    made = SSHWorld(tmp_path_factory.mktemp("ssh"), authority_of(KEY).public_line)
    made.start()
    yield made
    made.stop()


class Host:
    """Takes what the real sshd of a host says into its journal, with the time at which it is taken."""

    def __init__(self, log: Path, journal: JournalFiles, now: int) -> None:
        self._log, self._journal, self._now, self._taken = log, journal, now, 0

    def logs(self, *, file: str = "a") -> None:
        said = self._log.read_text().splitlines()[self._taken :]
        self._taken += len(said)
        seconds = (time.time_ns() // 1_000_000 - self._now) / 1000
        self._journal.writes(*((seconds, one) for one in said), (seconds, "Server listening."), file=file)


def follows(journal: JournalFiles, house: House) -> None:
    settings = house.data / "answerable.toml"
    line = f"target journald journal:{journal.directory} unit=ssh.service"
    settings.write_text(f"{settings.read_text()}\n[logs]\nfollow = ['{line}']\n")


async def told(desk: Desk, *, code: int) -> dict[str, Any]:
    listed = await asyncio.to_thread(desk.home.finished, "log", "list", "--json")
    assert listed.returncode in (code, 0, 6), listed.stdout + listed.stderr
    (found,) = json.loads(listed.stdout)["items"]
    return dict(found)


def readers(directory: Path) -> list[int]:
    """The journalctl that read this directory."""
    wanted = f"--directory={directory}".encode()
    return [int(one.parent.name) for one in Path("/proc").glob("[0-9]*/cmdline") if wanted in read(one)]


def read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


async def test_sessions_in_the_journal_are_judged_live_and_a_bypass_is_recorded_once_over_a_kill(
    tmp_path: Path, world: SSHWorld
) -> None:
    now = time.time_ns() // 1_000_000
    journal = JournalFiles(tmp_path / "journal", now=now)
    host = Host(world.hosts[0].log, journal, now)
    target = (
        f'kind = "ssh"\nhosts = {json.dumps(world.settings())}\nknown_hosts = "{world.known_hosts}"\n'
        f'ca_key = "file:ssh-authority"\nsource_addresses = ["127.0.0.1/32"]\n'
        f'revocation_login = "{LOGIN}"\nrevocation_folder = "{world.lists}"\nsocket_folder = "{world.folder}"\n'
    )
    async with desk_on(
        tmp_path, target=target, secrets={"ssh-authority": KEY}, capabilities=CAPABILITIES,
        before=partial(follows, journal),
    ) as desk:  # fmt: skip
        key = await desk.agent()
        await desk.does_call(key, "run", host="web1", command=ECHO)
        host.logs()

        async def has(**lines: int) -> bool:
            found = await told(desk, code=5)
            return all(found["lines"].get(name, 0) >= count for name, count in lines.items())

        await eventually(lambda: has(ours=1), "the session of the agent")
        await asyncio.to_thread(signs_in, world, tmp_path, UNKNOWN, 4711)
        host.logs()
        await eventually(lambda: has(ours=1, bypass=1), "the session past the broker")
        assert await asyncio.to_thread(readers, journal.directory)
        await desk.home.stop(signal.SIGKILL)

        async def is_gone() -> bool:
            return not await asyncio.to_thread(readers, journal.directory)

        await eventually(is_gone, "the end of journalctl")
        # Meanwhile somebody comes again, and journald begins another file.
        await asyncio.to_thread(signs_in, world, tmp_path, LATER, 4712)
        host.logs(file="b")
        await desk.home.start()
        await eventually(lambda: has(ours=1, bypass=2), "the session that came meanwhile")
        journal.directory.rename(tmp_path / "away")

        async def is_told() -> bool:
            found = await told(desk, code=5)
            return found["state"] == "fault" and "no file of a journal" in found["reason"]

        await eventually(is_told, "that the journal is gone")
        doctor = await asyncio.to_thread(desk.home.finished, "doctor")
        assert "no file of a journal is there" in doctor.stdout + doctor.stderr
        (tmp_path / "away").rename(journal.directory)

        async def is_back() -> bool:
            found = await told(desk, code=5)
            return found["state"] != "fault" and found["gaps"] == 0

        await eventually(is_back, "that the journal is back")

        async def is_recorded() -> bool:
            found = await asyncio.to_thread(desk.home.finished, "search", "kind:log_finding", "--json")
            return len(json.loads(found.stdout)["items"]) >= 2

        await eventually(is_recorded, "entries of both findings")
        await desk.home.stop(signal.SIGTERM)
        findings = desk.home.entries(Tag.LOG_FINDING)
        assert [one["verdict"] for one in findings] == ["bypass", "bypass"]

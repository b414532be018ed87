"""Files of the product that another account could read or change: nothing starts on them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
from pathlib import Path

import pytest

from answerable.errors import Unavailable
from answerable.wiring.assemble import assembled
from answerable.wiring.local_witness import opened_desk
from answerable.wiring.own_files import broker_faults, require_own, server_faults
from answerable.wiring.settings import load_settings
from tests.probes.loud_skips import not_proven
from tests.probes.small_disk import on_a_small_disk
from tests.worlds.up import NOBODY, house

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("BOUNDARY-06")]

SEGMENT = "ledger/wal/0000000000000000.wal"
OPENED = [
    (".", 0o777),
    (".", 0o722),
    ("answerable.toml", 0o666),
    ("answerable.toml", 0o620),
    ("keys", 0o777),
    ("keys", 0o750),
    ("keys", 0o701),
    ("keys/log.jwk", 0o640),
    ("keys/subjects.key", 0o604),
    ("keys/warrants.jwk", 0o644),
    ("answerable.db", 0o666),
    ("answerable.db", 0o644),
    ("subject-keys.db", 0o640),
    ("proofs.table", 0o660),
    ("ledger", 0o755),
    ("ledger/wal", 0o750),
    (SEGMENT, 0o666),
    (SEGMENT, 0o644),
]


async def made(place: Path) -> None:
    """What a first start leaves behind."""
    (place / "answerable.toml").write_text(on_a_small_disk(""))
    async with assembled(load_settings(place)):
        pass


def started(place: Path) -> None:
    """As far as `answerable up` looks at files before it opens any."""
    require_own(server_faults(load_settings(place)))


def refusal(place: Path) -> str:
    with pytest.raises(Unavailable) as refused:
        started(place)
    assert refused.value.code == "files.not_own"
    return refused.value.message


async def test_everything_is_made_so_that_others_have_no_rights_to_it(tmp_path):
    await made(tmp_path)
    kept = [*(tmp_path / "keys").rglob("*"), *(tmp_path / "ledger").rglob("*"), *tmp_path.glob("*.db*")]
    assert kept
    assert [path for path in kept if path.stat().st_mode & 0o077] == []
    for mode in (0o700, 0o711, 0o755):
        # Who may pass through the folder comes to the sockets in it; who may look sees names.
        tmp_path.chmod(mode)
        started(tmp_path)


@pytest.mark.parametrize(("name", "mode"), OPENED)
async def test_nothing_starts_on_a_file_or_folder_that_others_have_rights_to(tmp_path, name, mode):
    await made(tmp_path)
    path = tmp_path / name
    assert path.exists()
    path.chmod(mode)
    told = refusal(tmp_path)
    assert f"has mode {mode:04o}" in told
    command = told[told.index("chmod ") :].split("; ")[0].split()
    assert command[2] == str(path.absolute() if name != "." else tmp_path)
    # What it says to do mends it.
    done = await asyncio.create_subprocess_exec(*command)
    assert await done.wait() == 0
    started(tmp_path)
    # Whoever stops something needs no server, and no such file mended first.
    path.chmod(mode)
    if not name.startswith("keys/"):
        async with assembled(load_settings(tmp_path)):
            pass


@pytest.mark.parametrize("name", [".", "answerable.toml", "keys", "answerable.db", "ledger", SEGMENT])
async def test_nothing_starts_on_what_belongs_to_another_user(tmp_path, name):
    if os.geteuid():
        not_proven("only root gives files away: files of another user are NOT PROVEN here", name="root")
    await made(tmp_path)
    os.chown(tmp_path / name, NOBODY, -1)
    assert f"belongs to user {NOBODY}" in refusal(tmp_path)


async def test_neither_witness_nor_broker_starts_on_what_others_have_rights_to(tmp_path):
    (tmp_path / "answerable.toml").write_text(on_a_small_disk(""))
    settings = load_settings(tmp_path)
    with opened_desk(settings):
        pass
    (tmp_path / "witness/key.jwk").chmod(0o644)
    with pytest.raises(Unavailable, match="chmod go= "), opened_desk(settings):
        pass
    directory = settings.broker.directory
    directory.mkdir(mode=0o700, parents=True)
    require_own(broker_faults(settings))
    (directory / "leases.db").touch(0o600)
    (directory / "leases.db").chmod(0o640)
    with pytest.raises(Unavailable, match="leases"):
        require_own(broker_faults(settings))


SEEN_BY_UP = [(".", 0o777), ("answerable.toml", 0o666), ("answerable.db", 0o666), (SEGMENT, 0o666)]


async def test_up_refuses_them_and_doctor_names_each(tmp_path):
    async with house(tmp_path) as home:
        await home.start()
        await home.stop(signal.SIGTERM)
        told = {one["name"]: one for one in json.loads(home.command("doctor", "--json"))}
        assert told["files"]["state"] == "ok"
        for name, mode in SEEN_BY_UP:
            path = home.data / name
            own = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode)
            assert "chmod go" in await home.refused(), name
            found = json.loads(home.finished("doctor", "--json").stdout)
            faults = [one for one in found if one["name"] == "files" and one["state"] == "fault"]
            assert len(faults) == 1, name
            assert faults[0]["advice"].startswith("chmod go"), name
            path.chmod(own)

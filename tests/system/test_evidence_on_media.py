"""A data directory on media that nobody can write: it is searched with its keys, and nothing is left behind."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from answerable.adapters.local_keys import open_or_create_secret
from answerable.adapters.sqlite import SqliteSubjectKeys
from answerable.adapters.system import SystemEntropy
from answerable.adapters.tlog_files import TlogFilesLedger
from answerable.errors import Unavailable
from answerable.testing.builders import Bench
from answerable.testing.clock import ManualClock
from answerable.testing.contracts.ledger import log_key
from answerable.testing.samples import AUDIENCE
from answerable.wiring.ledger_search import keys_to_read, opened_keys
from tests.probes.loud_skips import not_proven
from tests.worlds.ledger_files import SMALL

pytestmark = pytest.mark.requirement("SEARCH-06")

READ_ONLY = """
mount --bind "$1" "$2" && mount -o remount,bind,ro "$2" || { echo 'no mount' >&2; exit 77; }
! touch "$2/written" 2> /dev/null || exit 78
shift 2
exec "$@"
"""
"""Runs a command that sees a directory in another place, read-only."""


async def recorded(place: Path) -> SqliteSubjectKeys:
    """One action, in a ledger and under keys of files. The keys stay open, so their newest are in the log of writes."""
    key, sign = log_key(AUDIENCE)
    entropy = SystemEntropy()
    root = open_or_create_secret(place / "keys" / "subjects.key", count=32, entropy=entropy)
    keys = SqliteSubjectKeys.open(place / "subject-keys.db", root=root, entropy=entropy)
    ledger = TlogFilesLedger.open(place / "ledger", key=key, sign=sign, clock=ManualClock(), settings=SMALL)
    async with ledger:
        bench = await Bench(ledger=ledger, subject_keys=keys).registered()
        await bench.issue()
        await bench.act()
        ledger.seal()
    return keys


def copied(place: Path, copy: Path) -> Path:
    """What somebody takes along: without the shared memory of those who have the keys open."""
    return shutil.copytree(place, copy, ignore=shutil.ignore_patterns("*-shm", ".*"))


def test_keys_that_sqlite_cannot_read_in_place_are_read_from_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = asyncio.run(recorded(tmp_path / "data"))
    live.of("Customer:only-in-the-log-of-writes")
    copy = copied(tmp_path / "data", tmp_path / "copy")
    files = (copy / "subject-keys.db", copy / "keys" / "subjects.key")
    # SQLite cannot make its file there, as on media or a full disk.
    (copy / "subject-keys.db-shm").symlink_to(tmp_path / "nowhere" / "nothing")
    before = {one.name: one.read_bytes() for one in copy.iterdir() if one.is_file()}
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with pytest.raises(Unavailable, match="cannot read the register file"):
        opened_keys(*files)
    with keys_to_read(*files) as (keys, _):
        assert keys.ids() == live.ids()
        assert keys.known("Customer:only-in-the-log-of-writes") is not None
        (copied_to,) = (tmp_path / "temporary").iterdir()
        assert copied_to.stat().st_mode & 0o777 == 0o700
    assert not list((tmp_path / "temporary").iterdir())
    assert {one.name: one.read_bytes() for one in copy.iterdir() if one.is_file()} == before
    live.close()


def test_a_read_only_disk_is_searched_with_its_keys(tmp_path: Path) -> None:
    live = asyncio.run(recorded(tmp_path / "data"))
    copy, media = copied(tmp_path / "data", tmp_path / "copy"), tmp_path / "media"
    live.close()
    media.mkdir()
    asked = ("search", "person:alice", "--ledger", str(media / "ledger"), "--keys", str(media), "--json")
    own = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    done = subprocess.run(
        ["unshare", *own, "--mount", "sh", "-c", READ_ONLY, "sh", str(copy), str(media),
         sys.executable, "-m", "answerable", *asked],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )  # fmt: skip
    if "unshare" in done.stderr or done.returncode == 77:
        not_proven(
            f"a search on a read-only disk is NOT PROVEN here: {done.stderr[-200:]}", name="namespaces"
        )
    assert done.returncode == 0, done.stderr
    assert "intent" in {one["kind"] for one in json.loads(done.stdout)["items"]}

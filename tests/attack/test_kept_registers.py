"""Attacks by keeping the file of the registers: whoever does that must hold up nobody but writers."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from answerable.adapters.sqlite import SqliteMandateRegister, SqliteStore, store
from answerable.core.mandate.mandate import MandateId
from answerable.errors import Unavailable
from answerable.testing.samples import mandate

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SHARD-09")]

# As a process that stopped in the middle of mending the index of the WAL: it has the locks for that, and the header of
# the index is not valid (SQLite file format, section 4: WAL-index locks at bytes 120 and 122).
MENDING = """
import fcntl, sys
with open(sys.argv[1], "r+b", buffering=0) as index:
    fcntl.lockf(index, fcntl.LOCK_EX, 1, 120)
    fcntl.lockf(index, fcntl.LOCK_EX, 1, 122)
    index.write(bytes(4))
    print("ready", flush=True)
    sys.stdin.read()
"""


def file_in(place: Path) -> Path:
    return place / "registers.db"


def kept(place: Path) -> sqlite3.Connection:
    """The file with another process's write in it, until that is rolled back."""
    other = sqlite3.connect(file_in(place), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other


async def test_news_of_others_is_read_on_the_event_loop_while_a_write_of_ours_waits_for_theirs(
    tmp_path: Path,
):
    here, there = SqliteStore.open(file_in(tmp_path)), SqliteStore.open(file_in(tmp_path))
    ours, theirs = SqliteMandateRegister(here), SqliteMandateRegister(there)
    ours.add(mandate("m-1"))
    theirs.add(mandate("m-2"))
    other = kept(tmp_path)
    began = threading.Event()
    ended: list[str] = []

    def end() -> None:
        began.set()
        ours.close(MandateId("m-1"))
        ended.append("ours")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.to_thread.run_sync, end)
        await anyio.to_thread.run_sync(began.wait)
        # Were the loop held up until the write of ours gives up, that would fail: the other lets go only after this.
        found = [here.refresh() for _ in range(100)]
        assert found[0]
        assert ours.state(MandateId("m-2")) == "open"
        await anyio.lowlevel.checkpoint()
        assert ended == []
        other.execute("ROLLBACK")
    assert ended == ["ours"]
    other.close()


async def test_writes_of_several_threads_wait_for_another_process_and_all_take_hold(tmp_path: Path):
    here = SqliteStore.open(file_in(tmp_path))
    ours = SqliteMandateRegister(here)
    other = kept(tmp_path)
    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(anyio.to_thread.run_sync, ours.add, mandate(f"m-{number}"))
        for _ in range(20):
            await anyio.sleep(0.002)
            assert list(ours.all()) == []
        other.execute("ROLLBACK")
    again = SqliteMandateRegister(SqliteStore.open(file_in(tmp_path)))
    assert {one.id for one in again.all()} == {f"m-{number}" for number in range(8)}


def test_a_write_that_waits_in_vain_says_so_and_leaves_nothing(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(store, "BUSY_MILLIS_MAX", 20)
    ours = SqliteMandateRegister(SqliteStore.open(file_in(tmp_path)))
    other = kept(tmp_path)
    with pytest.raises(Unavailable, match="cannot write the register file: database is locked") as told:
        ours.add(mandate("m-1"))
    assert (told.value.code, told.value.effect) == ("register.unavailable", "none")
    assert type(told.value) is Unavailable
    other.execute("ROLLBACK")
    ours.add(mandate("m-1"))


def test_a_process_that_stops_while_it_mends_the_file_holds_up_nobody(tmp_path: Path):
    here, there = SqliteStore.open(file_in(tmp_path)), SqliteStore.open(file_in(tmp_path))
    ours, theirs = SqliteMandateRegister(here), SqliteMandateRegister(there)
    theirs.add(mandate("m-1"))
    command = [sys.executable, "-c", MENDING, f"{file_in(tmp_path)}-shm"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert here.refresh() is False
        assert ours.find(MandateId("m-1")) is None
        process.kill()
    # Its locks went with it; whoever comes next mends the file, and nothing is lost.
    assert here.refresh()
    assert ours.find(MandateId("m-1")) == theirs.find(MandateId("m-1"))


async def test_while_a_thread_of_ours_is_in_the_middle_of_a_write_news_is_left_to_the_next_look(
    tmp_path: Path,
):
    here = SqliteStore.open(file_in(tmp_path))
    inside, go = threading.Event(), threading.Event()

    def write() -> None:
        with here.write():
            inside.set()
            assert go.wait(30)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.to_thread.run_sync, write)
        await anyio.to_thread.run_sync(inside.wait)
        assert here.refresh() is False
        go.set()
    SqliteMandateRegister(SqliteStore.open(file_in(tmp_path))).add(mandate("m-1"))
    assert here.refresh()


def test_a_process_does_not_go_on_for_ever_by_what_it_could_not_look_at(tmp_path: Path, monkeypatch):
    here = SqliteStore.open(file_in(tmp_path))
    inside, go = threading.Event(), threading.Event()

    def write() -> None:
        with here.write():
            inside.set()
            assert go.wait(30)

    thread = threading.Thread(target=write)
    thread.start()
    assert inside.wait(30)
    try:
        assert here.refresh() is False
        assert here.refresh() is False
        monkeypatch.setattr(store, "UNREAD_SECONDS_MAX", 0.0)
        with pytest.raises(Unavailable, match="it was busy for 0 s"):
            here.refresh()
    finally:
        go.set()
        thread.join()
    # A look that succeeds begins the time anew.
    assert here.refresh() is False
    assert here._unread_since is None

"""Commands that read without a server, beside a server that starts: neither keeps the other from its work."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from tests.worlds.up import WAIT_SECONDS_MAX, House, environment, house, until

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("WORDS-03")]
LONGER_THAN_THREE_SECONDS = 4.0
STARTS = 3


def is_held(lock: Path) -> bool:
    """Whether some process has the log."""
    if not lock.exists():
        return False
    descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def launched(home: House, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        home.line(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )


async def test_a_command_that_takes_its_time_keeps_no_server_from_starting(tmp_path):
    async with house(tmp_path) as home:
        home.command("status")
        reader = launched(home, "status")
        await until(lambda: is_held(home.data / "ledger/lock") or reader.poll() is not None, "the reader")
        reader.send_signal(signal.SIGSTOP)
        assert is_held(home.data / "ledger/lock"), "it was stopped while it reads"
        home.launch()
        await asyncio.sleep(LONGER_THAN_THREE_SECONDS)
        assert not home.has_ended(), home.said
        # Who comes meanwhile waits for the server, and takes nothing from it.
        later = launched(home, "status", "--json")
        reader.send_signal(signal.SIGCONT)
        await until(lambda: "\nledger " in home.said or home.has_ended(), "the server")
        assert not home.has_ended(), home.said
        for one in (reader, later):
            _, said = await asyncio.to_thread(one.communicate, timeout=WAIT_SECONDS_MAX)
            assert one.returncode == 0, said


async def test_a_poll_beside_starts_fails_neither_a_start_nor_a_poll(tmp_path):
    async with house(tmp_path) as home:
        ended, faults = threading.Event(), list[str]()

        def poll() -> None:
            while not ended.is_set():
                done = subprocess.run(
                    home.line("status"), capture_output=True, text=True, env=environment(), check=False
                )
                if done.returncode != 0:
                    faults.append(done.stderr)

        polling = [threading.Thread(target=poll) for _ in range(2)]
        for one in polling:
            one.start()
        try:
            for _ in range(STARTS):
                await home.start()
                await home.stop(signal.SIGTERM)
        finally:
            ended.set()
            for one in polling:
                await asyncio.to_thread(one.join)
        # A server that stops answers nobody any more; that is not a lock.
        assert [fault for fault in faults if "open in another process" in fault] == []

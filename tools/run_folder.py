"""What one run of the tests shares: a folder, and the servers whose folders are below it, until the run ends.

`run_tests.py` makes it for all of its processes and ends what is in it, however it ends itself; a pytest that is
started alone makes its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

VARIABLE = "ANSWERABLE_TEST_RUN"
"""Names the folder of the run to every process of tests."""
SERVER_VARIABLE = "ANSWERABLE_TEST_SERVER"
"""Names its folder to a server: what a process was started with cannot be taken for that of another."""
END_SECONDS = 10.0
LOOK_SECONDS = 0.02


def made() -> Path:
    """A new one, which servers under another user can pass through."""
    folder = Path(tempfile.mkdtemp(prefix="run-"))
    folder.chmod(0o711)
    return folder


@contextlib.contextmanager
def run_folder() -> Iterator[Path]:
    """One that is gone afterwards, with whatever runs in it."""
    folder = made()
    try:
        yield folder
    finally:
        remove(folder)


def remove(folder: Path) -> None:
    """End the servers in it, and take it away."""
    end_servers(folder)
    shutil.rmtree(folder, ignore_errors=True)


def end_servers(folder: Path) -> None:
    """Every server whose folder is this one or below it, with what it started."""
    # PostgreSQL takes its memory back when it is told to quit, not when it is killed.
    for how in (signal.SIGQUIT, signal.SIGKILL):
        for pid in servers(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
        give_up = time.monotonic() + END_SECONDS
        while servers(folder) and time.monotonic() < give_up:
            time.sleep(LOOK_SECONDS)


def servers(folder: Path) -> list[int]:
    """The processes that were started for a server there."""
    name = f"{SERVER_VARIABLE}={folder}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            given = (process / "environ").read_bytes().split(b"\0")
            if any(one == name or one.startswith(name + b"/") for one in given):
                found.append(int(process.name))
    return found

"""Processes of the server's own user that want the keys in its memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from tests.worlds.up import NOBODY, House, for_others, python_for_others, registry, until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="what is shown here is Linux's"),
]
LOOKS_IN = """
import ctypes, json, os, sys
pid, found = int(sys.argv[1]), []
for name in ("mem", "environ", "maps", "exe", "cwd", "fd"):
    try:
        place = f"/proc/{pid}/{name}"
        look = os.listdir if name == "fd" else os.readlink if name in ("exe", "cwd") else open
        look(place)
        found.append(name)
    except PermissionError:
        pass
    except OSError:
        found.append(name)
libc = ctypes.CDLL(None, use_errno=True)
for name, request in (("attach", 16), ("seize", 0x4206)):
    if libc.ptrace(request, pid, 0, 0) == 0:
        found.append(name)
print(json.dumps(found))
"""
ASKS = """
import socket, sys
from tests.probes.raw_workload_client import asks
connected = socket.socket(socket.AF_UNIX)
connected.connect(sys.argv[1])
asks(connected, "/SpiffeWorkloadAPI/FetchX509SVID", 1)
"""


@contextlib.asynccontextmanager
async def house_of(user: int, python: str) -> AsyncIterator[House]:
    """A server of this user, in a folder that it reaches."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)  # noqa: S103 - the other user comes through it
        made = House(Path(name), user=user, python=python)
        try:
            yield made
        finally:
            if made.process is not None:
                await made.stop(signal.SIGKILL)


def children_of(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def looked_in(python: str, pid: int) -> list[str]:
    done = subprocess.run(
        [python, "-c", LOOKS_IN, str(pid)],
        capture_output=True,
        text=True,
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd="/",
        check=True,
    )
    found: list[str] = json.loads(done.stdout)
    return found


def is_shut(python: str, pid: int) -> bool:
    return looked_in(python, pid) == []


@pytest.mark.requirement("BOUNDARY-05")
async def test_no_process_of_its_user_looks_into_the_server_or_what_it_keeps_running():
    python = python_for_others()
    as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": [], "cwd": "/"}
    with subprocess.Popen(["sleep", "60"], **as_nobody) as unguarded:  # noqa: ASYNC220 - it answers nothing
        await until(lambda: looked_in(python, unguarded.pid)[:3] == ["mem", "environ", "maps"], "a look")
        unguarded.kill()
    async with house_of(NOBODY, python) as home:
        await home.start()
        assert home.process is not None
        children = children_of(home.process.pid)
        assert children, "the witness runs beside it"
        assert looked_in(python, home.process.pid) == []
        for pid in children:
            # Each shuts itself before it reads a secret, and a server does not wait for its witness to begin.
            await until(partial(is_shut, python, pid), f"{pid} to shut itself")
        assert "can read the memory of" not in home.said
        # What it reads about others, and about itself, it still can.
        known = [[f"unix:uid:{NOBODY}", f"unix:path:{python}"]]
        (home.root / "registry.yaml").touch(0o644)
        await asyncio.to_thread(home.apply, registry(helper=known))
        answer = await asyncio.to_thread(
            subprocess.run,
            [python, "-c", ASKS, str(home.api)],
            capture_output=True,
            env=for_others(),
            cwd="/",
            check=True,
            **home.as_user,
        )
        assert b"spiffe://" in answer.stdout
        await home.stop(signal.SIGTERM)

"""The broker's socket, which anybody on the machine can connect to, flooded by those who are answered nothing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from contextlib import asynccontextmanager, suppress

import anyio
import httpx2
import pytest

from answerable.adapters.uvicorn_front import FrontLimits, serve
from answerable.adapters.uvicorn_front.protocol import STRANGERS_MAX
from answerable.apps.broker.application import broker_app
from answerable.apps.broker.services import BrokerServices
from tests.probes.loud_skips import not_proven
from tests.worlds.lease import LeaseWorld

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("BROKER-10")]

OTHERS = 100
SMALL = FrontLimits(connections_max=8)
NOBODY = 65_534
FLOOD = """
import socket, sys
held = []
for _ in range(int(sys.argv[2])):
    one = socket.socket(socket.AF_UNIX)
    one.connect(sys.argv[1])
    one.send(b"POST /v1/end HTTP/1.1\\r\\nhost: broker\\r\\ncontent-le")
    held.append(one)
print("held", flush=True)
sys.stdin.read()
"""


@asynccontextmanager
async def a_small_door(tmp_path, uids):
    """A broker's door with few places."""
    world = LeaseWorld()
    world.target()
    path = tmp_path / "broker.sock"
    async with world.broker() as desk, anyio.create_task_group() as tasks:
        needs = BrokerServices(desk=desk, keys=lambda: (), uids=uids, kinds={"one": "memory"})
        up, stop = anyio.Event(), anyio.Event()
        tasks.start_soon(
            lambda: serve(
                broker_app(needs), uds=path, uids=uids, limits=SMALL, started=lambda _: up.set(), stop=stop
            )
        )
        await up.wait()
        yield path
        stop.set()


async def asked(path) -> int:
    transport = httpx2.AsyncHTTPTransport(uds=str(path))
    async with httpx2.AsyncClient(transport=transport, timeout=10) as client:
        return (await client.post("http://broker/v1/targets", content=b"{}")).status_code


async def test_strangers_hold_few_connections_and_none_of_the_places_of_others(tmp_path):
    async with a_small_door(tmp_path, frozenset({4_000_000_000})) as path:
        held = []
        for _ in range(OTHERS):
            one = socket.socket(socket.AF_UNIX)
            one.connect(str(path))
            one.setblocking(False)
            held.append(one)
        for _ in range(20):
            await anyio.sleep(0.05)
        still = 0
        for one in held:
            try:
                still += bool(one.recv(1))
            except BlockingIOError:
                still += 1
            except OSError:
                continue
        assert still == STRANGERS_MAX
        # Refused for who they are, where they are more than all places: they take up none.
        opened = next(one for one in held if is_open(one))
        opened.send(b"POST /v1/targets HTTP/1.1\r\nhost: broker\r\ncontent-length: 2\r\n\r\n{}")
        opened.setblocking(True)
        answer = await anyio.to_thread.run_sync(opened.recv, 1000)
        assert answer.startswith(b"HTTP/1.1 403")
        for one in held:
            one.close()
    # It also stops at once, whatever they hold.


def is_open(one: socket.socket) -> bool:
    with suppress(BlockingIOError):
        return bool(one.recv(1, socket.MSG_PEEK))
    return True


async def test_a_flood_of_another_user_keeps_nobody_from_the_broker(tmp_path):
    program = shutil.which("python3", path=os.defpath)
    if os.geteuid() or program is None:
        not_proven(
            "only root can be another user, with a Python that others may run: floods of others NOT PROVEN here"
        )
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(folder.stat().st_mode | 0o011)
    async with a_small_door(tmp_path, frozenset({os.getuid()})) as path:
        path.chmod(0o666)
        flood = subprocess.Popen(  # noqa: ASYNC220 - of another user, which anyio's can be as well, with less to read
            [program, "-c", FLOOD, str(path), str(OTHERS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            user=NOBODY,
            cwd="/",
        )
        try:
            assert flood.stdout is not None
            await anyio.to_thread.run_sync(flood.stdout.readline)
            assert await asked(path) == 200
        finally:
            flood.kill()
            flood.wait()

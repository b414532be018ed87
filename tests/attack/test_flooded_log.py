"""A stranger fills the server's log by opening connections."""

from __future__ import annotations

import logging
import socket
import subprocess
from typing import Any

import anyio
import pytest

from answerable.adapters.uvicorn_front import FrontLimits, Listeners, serve
from answerable.adapters.uvicorn_front.warnings import APART_SECONDS, SaidOnce
from tests.probes import warm_starts

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("OPENFILES-06")]


async def nobody(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "lifespan"
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def asked(address: tuple[str, int], head: bytes) -> bytes:
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(head)
        return connection.recv(100)


@pytest.mark.parametrize(
    ("head", "answer", "said"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 503", "Exceeded concurrency limit."),
        (b"nonsense\r\n\r\n", b"HTTP/1.1 400", "Invalid HTTP request received."),
    ],
)
async def test_a_hundred_connections_are_one_line_of_the_log(
    caplog: pytest.LogCaptureFixture, head: bytes, answer: bytes, said: str
) -> None:
    started, stop, bound = anyio.Event(), anyio.Event(), list[Listeners]()

    def note(listeners: Listeners) -> None:
        bound.append(listeners)
        started.set()

    async with anyio.create_task_group() as tasks:
        limits = FrontLimits(connections_max=1)
        tasks.start_soon(lambda: serve(nobody, tcp=("127.0.0.1", 0), limits=limits, started=note, stop=stop))
        await started.wait()
        address = bound[0].tcp_address
        assert address is not None
        for _ in range(100):
            told = await anyio.to_thread.run_sync(asked, address, head)
            assert told.startswith(answer)
        stop.set()
    assert sum(said in record.getMessage() for record in caplog.records) <= 10


def record(level: int, text: str) -> logging.LogRecord:
    return logging.LogRecord("uvicorn.error", level, "", 0, text, (), None)


def test_the_next_time_the_number_is_said_and_what_is_a_fault_is_always_said() -> None:
    now = [0.0]
    said = SaidOnce(now=lambda: now[0])
    assert said.filter(record(logging.WARNING, "Full."))
    assert not any(said.filter(record(logging.WARNING, "Full.")) for _ in range(99))
    assert said.filter(record(logging.WARNING, "Another."))
    assert said.filter(record(logging.ERROR, "Full."))
    now[0] = APART_SECONDS
    last = record(logging.WARNING, "Full.")
    assert said.filter(last)
    assert last.getMessage() == "Full. And 99 times before this since it was last said."


FAILING_DISK = """
import logging
from answerable.adapters.uvicorn_front.warnings import say_once
say_once()
log = logging.getLogger("answerable.flows.somewhere")
for _ in range(50):
    log.warning("it cannot be written down right now: %s", "read-only file system")
"""


def test_what_is_tried_again_and_again_on_a_failing_disk_is_printed_once() -> None:
    done = subprocess.run(
        [*warm_starts.program(FAILING_DISK)], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stderr == "it cannot be written down right now: read-only file system\n"

"""Clients that go on sending a body after its answer: it keeps their connection no longer than any idle one."""

from __future__ import annotations

from itertools import repeat
from pathlib import Path
from typing import Any

import anyio
import pytest

from answerable.adapters.uvicorn_front import FrontLimits
from tests.unit.adapters.uvicorn_front.test_front import serving

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("PROOF-09")]
REQUEST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"


async def refusing(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers every request before its body."""
    if scope["type"] == "lifespan":
        return
    await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def answer(client: anyio.abc.SocketStream) -> bytes:
    found = b""
    while not found.endswith(b"\r\n\r\n"):
        found += await client.receive()
    return found[:12]


async def dripped(client: anyio.abc.SocketStream, bytes_max: int) -> None:
    """Send the body byte by byte until the server ends the connection."""
    for _ in repeat(None, bytes_max):
        await client.send(b"x")
        with anyio.move_on_after(0.05):
            await client.receive()
    await client.receive()


@pytest.mark.parametrize("bytes_max", [1, 10_000])
async def test_a_body_that_drips_after_its_answer_ends_with_the_idle_time(
    tmp_path: Path, bytes_max: int
) -> None:
    path = tmp_path / "s"
    limits = FrontLimits(keep_alive_seconds=1, grace_seconds=1)
    async with serving(refusing, uds=path, limits=limits), await anyio.connect_unix(path) as client:
        await client.send(REQUEST % 1_000_000)
        assert await answer(client) == b"HTTP/1.1 401"
        with anyio.fail_after(60), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await dripped(client, bytes_max)


async def test_a_connection_whose_body_came_after_the_answer_serves_the_next_request(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with serving(refusing, uds=path), await anyio.connect_unix(path) as client:
        for _ in range(3):
            await client.send(REQUEST % 4)
            assert await answer(client) == b"HTTP/1.1 401"
            await client.send(b"body")
        for _ in range(2):
            await client.send(REQUEST % 4 + b"body")
            assert await answer(client) == b"HTTP/1.1 401"

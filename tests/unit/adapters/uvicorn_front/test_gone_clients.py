"""Clients that go while their answers are on the way, on the event loop of the product."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

import anyio
import pytest
import uvloop

from answerable.adapters.uvicorn_front import listen, serve
from answerable.adapters.uvicorn_front.protocol import ChannelProtocol

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
RESET = struct.pack("ii", 1, 0)


async def _left_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three requests at once; the client goes while the second runs. What the second receives from then on."""
    answered: list[str] = []
    received: list[str] = []
    running, lost, over = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        answered.append(scope["path"])
        if len(answered) == 2:
            running.set()
            try:
                await lost.wait()
                await send({"type": "http.response.start", "status": 204, "headers": []})
                received.extend([(await receive())["type"]])
            finally:
                over.set()
            return
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    heard = ChannelProtocol.connection_lost

    def connection_lost(protocol: ChannelProtocol, exc: Exception | None) -> None:
        heard(protocol, exc)
        lost.set()

    monkeypatch.setattr(ChannelProtocol, "connection_lost", connection_lost)
    bound = listen(tcp=("127.0.0.1", 0))
    assert bound.tcp is not None
    address = bound.tcp.getsockname()
    started, stop = asyncio.get_running_loop().create_future(), anyio.Event()
    task = asyncio.create_task(serve(app, listeners=bound, started=started.set_result, stop=stop))
    await started
    with socket.socket() as client:
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, address)
        await loop.sock_sendall(client, REQUEST * 3)
        await running.wait()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    await over.wait()
    stop.set()
    await task
    return received


@pytest.mark.requirement("NEIGHBOUR-18")
def test_a_client_that_goes_with_requests_waiting_ends_the_one_that_runs_and_leaves_no_traceback(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    received = uvloop.run(_left_in_the_middle(monkeypatch))
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
    assert received == ["http.disconnect"]

"""Clients that go while their answers are on the way, on the event loop of the product."""

from __future__ import annotations

import asyncio
import socket
import struct
from pathlib import Path
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


async def _half_closed(
    *, local: bool, leaves: bool, requests: bytes, tmp_path: Path
) -> tuple[bytes, list[str]]:
    """A client that ends its direction while its first request runs. What it reads, and what became of each request.

    leaves: it ends the other one, too; its requests wait for that.
    """
    became: list[str] = []
    running, ended, answered = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        running.set()
        await receive()
        if leaves:
            became.append((await receive())["type"])
            ended.set()
            return
        await ended.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
        became.append("answered")
        if len(became) == requests.count(b"GET"):
            answered.set()

    place = tmp_path / "front.sock"
    bound = listen(uds=place) if local else listen(tcp=("127.0.0.1", 0))
    started, stop = asyncio.get_running_loop().create_future(), anyio.Event()
    task = asyncio.create_task(serve(app, listeners=bound, started=started.set_result, stop=stop))
    await started
    if local:
        reader, writer = await asyncio.open_unix_connection(place)
    else:
        assert bound.tcp is not None
        reader, writer = await asyncio.open_connection(*bound.tcp.getsockname())
    writer.write(requests)
    await running.wait()
    if leaves:
        writer.close()
        read = b""
    else:
        writer.write_eof()
        await asyncio.sleep(0.05)
        ended.set()
        read = await reader.read()
        writer.close()
    async with asyncio.timeout(20):
        await (ended if leaves else answered).wait()
    stop.set()
    await task
    return read, became


@pytest.mark.requirement("NEIGHBOUR-18")
@pytest.mark.parametrize("run", [uvloop.run, asyncio.run])
@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("count", [1, 3])
def test_a_client_that_ends_only_its_direction_gets_all_its_answers(
    tmp_path: Path, run: Any, local: bool, count: int
) -> None:
    read, became = run(_half_closed(local=local, leaves=False, requests=REQUEST * count, tmp_path=tmp_path))
    assert became == ["answered"] * count
    assert (read.count(b"HTTP/1.1 200"), read[-6:]) == (count, b"\r\n\r\nok")
    assert read.count(b"connection: close") == 1
    assert read.startswith(b"HTTP/1.1 200" if local else b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")


@pytest.mark.requirement("NEIGHBOUR-18")
@pytest.mark.parametrize("run", [uvloop.run, asyncio.run])
@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_client_that_closes_its_socket_has_left(
    tmp_path: Path, run: Any, local: bool, version: bytes
) -> None:
    asked = REQUEST.replace(b"1.1", version)
    _, became = run(_half_closed(local=local, leaves=True, requests=asked, tmp_path=tmp_path))
    assert became == ["http.disconnect"]


@pytest.mark.requirement("NEIGHBOUR-18")
@pytest.mark.parametrize("rest", [b"GET / HTTP/1.1\r\nHo", REQUEST[:-2] + b"Content-Length: 9\r\n\r\nhalf"])
def test_a_client_that_ends_in_the_middle_of_a_request_has_left(tmp_path: Path, rest: bytes) -> None:
    async def left() -> bytes:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            while scope["type"] == "http" and (await receive())["type"] != "http.disconnect":
                pass

        bound = listen(tcp=("127.0.0.1", 0))
        assert bound.tcp is not None
        started, stop = asyncio.get_running_loop().create_future(), anyio.Event()
        task = asyncio.create_task(serve(app, listeners=bound, started=started.set_result, stop=stop))
        await started
        reader, writer = await asyncio.open_connection(*bound.tcp.getsockname())
        writer.write(REQUEST + rest)
        writer.write_eof()
        async with asyncio.timeout(20):
            read = await reader.read()
        writer.close()
        stop.set()
        await task
        return read

    assert uvloop.run(left()) == b""

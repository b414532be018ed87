"""What the front offers beside ASGI for one request: a body that has arrived, a caller that leaves, one write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from answerable.adapters.uvicorn_front import serve
from answerable.adapters.uvicorn_front.exchange import HttpExchange
from answerable.core.identity.proof.channel import EXCHANGE_EXTENSION

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("GATE-20")]

LINES = b"content-length: %d\r\n"
HEAD = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n"


@asynccontextmanager
async def connected(
    answer: Callable[[HttpExchange, Any, Any], Any],
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a front whose every request is given to `answer`."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await answer(scope["extensions"][EXCHANGE_EXTENSION], receive, send)

    started, stop = asyncio.get_running_loop().create_future(), anyio.Event()
    task = asyncio.create_task(serve(app, tcp=("127.0.0.1", 0), started=started.set_result, stop=stop))
    address = (await started).tcp_address
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield reader, writer
    finally:
        writer.close()
        stop.set()
        await task


async def answered(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return head, await reader.readexactly(length)


async def echo(exchange: HttpExchange, receive: Any, send: Any) -> None:
    body = exchange.arrived()
    if body is None:
        more, body = True, b""
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        body = b"received " + body
    assert exchange.answer(200, LINES % len(body), body)


async def test_requests_of_one_connection_are_answered_in_one_write_each_whole_or_in_parts() -> None:
    async with connected(echo) as (reader, writer):
        writer.write(HEAD % 3 + b"one" + HEAD % 3 + b"two")
        first, second = await answered(reader), await answered(reader)
        assert (first[1], second[1]) == (b"one", b"two")
        assert first[0].startswith(b"HTTP/1.1 200 OK\r\ndate: ")
        writer.write(HEAD % 5 + b"th")
        await asyncio.sleep(0.05)
        writer.write(b"ree")
        assert (await answered(reader))[1] == b"received three"
        writer.write(b"POST / HTTP/1.0\r\ncontent-length: 0\r\n\r\n")
        head, _ = await answered(reader)
        assert b"\r\nconnection: close\r\n" in head
        assert await reader.read() == b""


async def test_an_answer_that_has_begun_or_lost_its_connection_is_left_to_the_server() -> None:
    said: list[bool] = []
    over = asyncio.Event()

    async def twice(exchange: HttpExchange, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        said.append(exchange.answer(200, LINES % 0, b""))
        await send({"type": "http.response.body", "body": b""})
        said.append(exchange.answer(200, LINES % 0, b""))
        assert exchange.arrived() is None
        over.set()

    async with connected(twice) as (reader, writer):
        writer.write(HEAD % 0)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        await over.wait()
    assert said == [False, False]


async def test_a_caller_that_leaves_is_told_of_once_and_one_that_was_answered_is_not() -> None:
    left: list[str] = []
    running, gone, over = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def tell() -> None:
        left.append("left")
        gone.set()

    async def waits(exchange: HttpExchange, receive: Any, send: Any) -> None:
        exchange.when_left(tell)
        if exchange.arrived() == b"quick":
            assert exchange.answer(200, LINES % 0, b"")
            return
        running.set()
        await gone.wait()
        exchange.when_left(lambda: left.append("at once"))
        assert not exchange.answer(200, LINES % 0, b"")
        over.set()

    async with connected(waits) as (reader, writer):
        writer.write(HEAD % 5 + b"quick")
        await answered(reader)
        writer.write(HEAD % 4 + b"slow")
        await running.wait()
        assert left == []
        writer.close()
        await over.wait()
    assert left == ["left", "at once"]

"""A server that ends a connection when it likes, which RabbitMQ does after it has refused a password."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from answerable.adapters.rabbitmq_users import Management
from answerable.errors import Refused, Unavailable

pytestmark = pytest.mark.anyio

REFUSED = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}"
MADE = b"HTTP/1.1 204 No Content\r\n\r\n"


@asynccontextmanager
async def server(*answers: bytes) -> AsyncIterator[tuple[str, list[str]]]:
    """Says these one after the other, by request; for an empty one it ends the connection. What it was asked."""
    asked: list[str] = []
    left = list(answers)

    async def handle(stream: SocketStream) -> None:
        async with stream:
            while left:
                try:
                    request = await stream.receive()
                    while b"\r\n\r\n" not in request or (b"PUT" in request and not request.endswith(b"}")):
                        request += await stream.receive()
                except anyio.EndOfStream:
                    return
                asked.append(request.split(b" ")[0].decode())
                answer = left.pop(0)
                if not answer:
                    return
                await stream.send(answer)

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, handle)
        yield f"http://127.0.0.1:{listener.extra_attributes[SocketAttribute.local_port]()}", asked
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def management(address: str) -> AsyncIterator[Management]:
    made = Management(
        address,
        account="broker",
        password_of=lambda: "new",
        others_of=lambda: ("old",),
        tls=None,
        seconds_max=30,
    )
    try:
        yield made
    finally:
        await made.close()


async def test_what_is_made_so_is_asked_again_where_a_kept_connection_ends() -> None:
    async with server(REFUSED, b"", MADE) as (address, asked), management(address) as made:
        await made.put("users", "one", content={"tags": ""})
    assert asked == ["PUT", "PUT", "PUT"]


async def test_it_is_asked_twice_and_no_more() -> None:
    async with server(REFUSED, b"", b"", MADE) as (address, asked), management(address) as made:
        with pytest.raises(Unavailable, match="does not answer") as told:
            await made.put("users", "one", content={"tags": ""})
    assert told.value.effect == "unknown"
    assert asked == ["PUT", "PUT", "PUT"]


async def test_what_is_taken_away_is_asked_once() -> None:
    async with server(b"", MADE) as (address, asked), management(address) as made:
        with pytest.raises(Unavailable, match="does not answer"):
            await made.delete("users", "one")
    assert asked == ["DELETE"]


@pytest.mark.requirement("BROKER-12")
@pytest.mark.parametrize("status", [400, 401, 403, 408, 429, 500])
async def test_a_lease_that_is_refused_for_good_is_not_told_as_one_that_can_be_repeated(status: int) -> None:
    answer = b"HTTP/1.1 %d No\r\ncontent-length: 2\r\n\r\n{}" % status
    async with server(answer, answer) as (address, _), management(address) as made:
        with pytest.raises((Refused, Unavailable)) as told:
            await made.put("users", "one", content={"tags": ""}, issues=True)
        assert (told.value.retry, told.value.effect) == (status != 400, "none")
        # What ends a lease is asked until it has ended.
        with pytest.raises(Unavailable):
            await made.delete("users", "one")

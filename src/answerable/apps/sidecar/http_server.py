"""Serve HTTP/1.1 on one connection of a Unix socket, within limits: requests are read whole, answers sent in pieces."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio
import h11
import msgspec
from anyio.abc import SocketAttribute

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import SocketStream

    from answerable.core.canonical import JSONValue

BODY_BYTES_MAX: Final = 4 * 1024 * 1024
HEAD_BYTES_MAX: Final = 32_768
READ_SECONDS_MAX: Final = 60.0
"""Between two requests on a connection, and for a whole request."""
PIECE_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One request. headers: lower-case names."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)

    def values(self, name: str) -> list[str]:
        """Return all values of a field."""
        return [value for found, value in self.headers if found == name]


class Reply:
    """Writes one answer: `json` whole, or `begin` and then any number of `piece`."""

    def __init__(self, stream: SocketStream, connection: h11.Connection) -> None:
        self._stream = stream
        self._connection = connection
        self.begun = False
        self._ended = False

    async def json(self, status: int, value: JSONValue) -> None:
        """Send an answer that is one JSON value."""
        body = msgspec.json.encode(value)
        await self.begin(status, [("content-type", "application/json"), ("content-length", str(len(body)))])
        await self.piece(body)

    async def begin(self, status: int, headers: list[tuple[str, str]]) -> None:
        """Send the status and header fields."""
        self.begun = True
        fields = [*headers, ("cache-control", "no-store")]
        response = h11.Response(
            status_code=status, headers=[(name.encode(), value.encode("latin-1")) for name, value in fields]
        )
        await self._send(self._connection.send(response))

    async def piece(self, body: bytes) -> None:
        """Send a piece of the body."""
        if body:
            await self._send(self._connection.send(h11.Data(data=body)))

    async def end(self) -> None:
        """End the body. Idempotent."""
        if self._ended:
            return
        self._ended = True
        await self._send(self._connection.send(h11.EndOfMessage()))

    async def _send(self, octets: bytes | None) -> None:
        if octets:
            await self._stream.send(octets)


async def converse(stream: SocketStream, answer: Callable[[HttpRequest, Reply], Awaitable[None]]) -> None:
    """Answer requests until the peer leaves or violates the protocol; a disconnect cancels the answer."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES_MAX)
    try:
        while True:
            with anyio.fail_after(READ_SECONDS_MAX):
                request = await _request(stream, connection)
            if request is None:
                return
            await _answered(stream, connection, request, Reply(stream, connection), answer)
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return
            connection.start_next_cycle()
    except (
        anyio.BrokenResourceError,
        anyio.ClosedResourceError,
        h11.ProtocolError,
        TimeoutError,
        _TooLongError,
    ):
        return


class _TooLongError(Exception):
    """A body above its limit: the connection ends."""


async def _request(stream: SocketStream, connection: h11.Connection) -> HttpRequest | None:
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            if connection.they_are_waiting_for_100_continue:
                await stream.send(
                    connection.send(h11.InformationalResponse(status_code=100, headers=[])) or b""
                )
            try:
                connection.receive_data(await _received(stream))
            except anyio.EndOfStream:
                connection.receive_data(b"")
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > BODY_BYTES_MAX:
                raise _TooLongError
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            return HttpRequest(
                method=head.method.decode("ascii"),
                target=head.target.decode("ascii"),
                headers=tuple(
                    (name.decode("ascii"), value.decode("latin-1")) for name, value in head.headers
                ),
                body=bytes(body),
            )
        else:
            return None


async def _received(stream: SocketStream) -> bytes:
    """Receive a piece. Raises as `stream.receive`, which has nothing to wait for here: its own wait leaves a traceback
    in the event loop if it is cancelled in the turn in which bytes come."""
    await anyio.wait_readable(stream.extra_attributes[SocketAttribute.raw_socket]())
    return await stream.receive(PIECE_BYTES)


async def _answered(
    stream: SocketStream,
    connection: h11.Connection,
    request: HttpRequest,
    reply: Reply,
    answer: Callable[[HttpRequest, Reply], Awaitable[None]],
) -> None:
    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            # Bytes that arrive before the answer is sent belong to the next request; end of stream means that the peer
            # has left.
            try:
                connection.receive_data(await _received(stream))
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                tasks.cancel_scope.cancel()

        tasks.start_soon(watch)
        await answer(request, reply)
        await reply.end()
        tasks.cancel_scope.cancel()

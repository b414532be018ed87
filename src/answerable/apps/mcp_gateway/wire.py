"""HTTP below the MCP SDK: read bodies within limits, check Host and Origin, write the gateway's own answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import anyio
import msgspec

from answerable.errors import shown
from answerable.errors.codes.services import (
    HTTP_BODIES_FULL,
    HTTP_CONTENT_ENCODING,
    HTTP_HEADER_TWICE,
    HTTP_HOST,
    HTTP_LEFT,
    HTTP_ORIGIN,
    HTTP_SLOW_BODY,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Message, Receive, Scope, Send

    from answerable.apps.mcp_gateway.exchange import Exchange
    from answerable.apps.mcp_gateway.services import GatewayLimits
    from answerable.core.canonical import JSONValue

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})

_AUTHORITY: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
_ENCODER: Final = msgspec.json.Encoder()
_LINES: Final = b"content-type: application/json\r\ncontent-length: %d\r\ncache-control: no-store\r\n"
# Fields that must occur once: two readers of a repeated field could take different values.
_SINGLE: Final = frozenset(
    {
        b"mcp-protocol-version",
        b"mcp-session-id",
        b"mcp-method",
        b"mcp-name",
        b"content-type",
        b"content-length",
        b"content-encoding",
        b"transfer-encoding",
        b"host",
        b"origin",
        b"answerable-mandate",
        b"answerable-delegation",
    }
)


class TooLargeError(Exception):
    """A body above its limit."""


class BodyBudget:
    """Counts the bytes of all bodies that are still arriving; one per process. Not thread-safe."""

    __slots__ = ("_bytes_max", "held")

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self.held = 0

    def take(self, count: int) -> None:
        """Account for a piece before it is stored. Raises Unavailable (`http.bodies_full`) and then takes nothing."""
        if self.held + count > self._bytes_max:
            raise HTTP_BODIES_FULL()
        self.held += count

    def give_back(self, count: int) -> None:
        """Release the bytes of a body that has arrived or was given up."""
        self.held -= count


def single_headers(scope: Scope) -> dict[bytes, bytes]:
    """Return the header fields that the gateway reads. Raises Malformed (`http.header_twice`)."""
    found: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in _SINGLE:
            if name in found:
                raise HTTP_HEADER_TWICE(f"header {shown(name.decode('latin-1'))} is given twice")
            found[name] = value
    return found


def check_host(headers: dict[bytes, bytes], limits: GatewayLimits) -> None:
    """Check Host and Origin (protects against DNS rebinding). Raises Refused (`http.host`, `http.origin`)."""
    host = _AUTHORITY.fullmatch(headers.get(b"host", b"").decode("latin-1"))
    if host is None or host[1] not in LOOPBACK | limits.hosts:
        raise HTTP_HOST("this gateway does not serve the host name in the Host header")
    origin = headers.get(b"origin")
    if origin is not None and origin.decode("latin-1") not in limits.origins:
        raise HTTP_ORIGIN(
            "requests from web pages are refused: the Origin is not in `gateway.allowed_origins`"
        )


def announced_bytes(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Return the body's Content-Length; 0 if absent."""
    found = next((value for name, value in headers if name == b"content-length"), b"")
    return int(found[:18]) if found.isdigit() else 0


def declared_bytes(headers: dict[bytes, bytes], bytes_max: int) -> int:
    """Return the largest size that the body can have: its Content-Length, the limit if it is chunked, 0 without
    either."""
    return bytes_max if b"transfer-encoding" in headers else announced_bytes(headers.items())


async def read_body(
    exchange: Exchange,
    receive: Receive,
    headers: dict[bytes, bytes],
    limits: GatewayLimits,
    budget: BodyBudget,
) -> bytes:
    """Return the whole body.

    Raises TooLargeError, Malformed (`http.slow_body`, `http.left`, `http.content_encoding`), and Unavailable
    (`http.bodies_full`). A body that arrived with its head does not wait here and takes nothing of the budget.
    """
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise HTTP_CONTENT_ENCODING()
    content = exchange.arrived()
    if content is not None:
        if len(content) > limits.body_bytes_max:
            raise TooLargeError
        return content
    # The wait for the first byte is bounded, too: a head without a body must not hold its slot forever.
    with anyio.move_on_after(limits.body_seconds_max):
        return await _rest(await receive(), receive, limits.body_bytes_max, budget)
    raise HTTP_SLOW_BODY(f"the body was not received within {limits.body_seconds_max:g} s")


async def _rest(message: Message, receive: Receive, bytes_max: int, budget: BodyBudget) -> bytes:
    body = bytearray()
    try:
        while message["type"] == "http.request":
            chunk: bytes = message.get("body", b"")
            if len(body) + len(chunk) > bytes_max:
                raise TooLargeError
            budget.take(len(chunk))
            body += chunk
            if not message.get("more_body", False):
                return bytes(body)
            message = await receive()
    finally:
        # Exactly what was taken from the budget is stored in `body`.
        budget.give_back(len(body))
    raise HTTP_LEFT()


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body once and then the later events, such as the caller's disconnect."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def answer_quickly(exchange: Exchange | None, send: Send, status: int, value: JSONValue) -> None:
    """Answer with one JSON value, in one write if the server can. exchange: None if it has fields of others."""
    body = _ENCODER.encode(value)
    if exchange is None or not exchange.answer(status, _LINES % len(body), body):
        await answer_bytes(send, status, body)


async def answer_json(
    send: Send, status: int, value: JSONValue, *, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    """Answer with one JSON value."""
    await answer_bytes(send, status, _ENCODER.encode(value), headers=headers)


async def answer_bytes(
    send: Send, status: int, body: bytes, *, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    """Answer with encoded JSON text."""
    fields = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def rpc_error(
    request_id: JSONValue, code: int, message: str, extra: dict[str, JSONValue]
) -> dict[str, JSONValue]:
    """Return one JSON-RPC error."""
    error: dict[str, JSONValue] = {"code": code, "message": message, "data": extra}
    return {"jsonrpc": "2.0", "id": request_id, "error": error}

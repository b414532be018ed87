"""Check a request for the small HTTP endpoints: its host, the length of its body, and its channel."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from answerable.core.identity.proof.channel import CHANNEL_EXTENSION, Channel
from answerable.errors import Malformed, shown
from answerable.errors.codes.services import (
    HTTP_HOST,
    HTTP_LEFT,
    HTTP_ORIGIN,
    HTTP_SLOW_BODY,
    REQUEST_METHOD,
    REQUEST_PATH_UNKNOWN,
    REQUEST_SIZE,
)

if TYPE_CHECKING:
    from starlette.requests import Request

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_AUTHORITY: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")


async def body_within(request: Request, *, bytes_max: int, seconds_max: float) -> bytes:
    """Return the body, reading at most the allowed bytes and time.

    Raises Malformed (`request.size`, `http.left`, `http.slow_body`).
    """
    received = bytearray()
    with anyio.move_on_after(seconds_max) as reading:
        try:
            async for chunk in request.stream():
                received += chunk
                if len(received) > bytes_max:
                    raise REQUEST_SIZE(f"the body has more than {bytes_max} bytes")
        except ClientDisconnect:
            raise HTTP_LEFT() from None
    if reading.cancelled_caught:
        raise HTTP_SLOW_BODY(f"the body was not received within {seconds_max:g} s")
    return bytes(received)


def check_host(request: Request, hosts: frozenset[str]) -> None:
    """Check Host and Origin (protects against DNS rebinding). hosts: accepted names besides those of loopback.

    Raises Refused (`http.host`, `http.origin`).
    """
    host = _AUTHORITY.fullmatch(request.headers.get("host", ""))
    if host is None or host[1] not in LOOPBACK | hosts:
        raise HTTP_HOST("this server does not serve the host name in the Host header")
    if "origin" in request.headers:
        raise HTTP_ORIGIN("requests from web pages are refused")


def channel_of(request: Request) -> Channel | None:
    """Return the connection's channel, as far as the server reports it; None for none."""
    found: Any = (request.scope.get("extensions") or {}).get(CHANNEL_EXTENSION)
    return found if isinstance(found, Channel) else None


def route_fault(request: Request, error: Exception) -> Malformed:
    """Return the error for an unknown path, or an unknown method of a path (`request.path_unknown`,
    `request.method`)."""
    path = shown(request.url.path)
    if isinstance(error, HTTPException) and error.status_code == 405:
        return REQUEST_METHOD(f"{request.method} is not a method of {path}")
    return REQUEST_PATH_UNKNOWN(f"there is no {path} here")

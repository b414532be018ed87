"""Relay a handle's MCP messages to the gateway, signed with its identity.

Signs only requests to the gateway's MCP paths whose body is one JSON-RPC message, never bytes of the agent's choice.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import httpx2

from answerable.apps.sidecar.tasks import status_of
from answerable.connection_fault import connection_fault
from answerable.core.canonical import Limits, parse
from answerable.errors import AnswerableError, Malformed, Unverified, shown
from answerable.errors.codes.services import SIDECAR_FIELD, SIDECAR_MESSAGE, SIDECAR_PATH

if TYPE_CHECKING:
    from answerable.apps.sidecar.http_server import HttpRequest, Reply
    from answerable.apps.sidecar.identity import Identity
    from answerable.apps.sidecar.tasks import Tasks
    from answerable.core.canonical import JSONValue

BODY_BYTES_MAX: Final = 4 * 1024 * 1024
INVALID_REQUEST: Final = -32600
INTERNAL_ERROR: Final = -32603
HTTP_UNAUTHORIZED: Final = 401
KEY_REFUSED: Final = 'step="key"'
"""Text in the gateway's challenge for a key that is unknown or has ended."""

_TARGET: Final = re.compile(r"/mcp/[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")
_LIMITS: Final = Limits(size_bytes_max=BODY_BYTES_MAX)
_PASSED: Final = (
    "accept",
    "answerable-mandate",
    "content-type",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
)
"""Request fields that are forwarded; proofs, hosts and credentials set by the agent are not."""
_ANSWERED: Final = ("content-type", "mcp-session-id")


async def relay(
    client: httpx2.AsyncClient,
    base: str,
    identity: Identity,
    tasks: Tasks,
    request: HttpRequest,
    reply: Reply,
) -> None:
    """Send one message with the proof of this identity, and stream back the answer."""
    try:
        identifier = _checked(request)
        fields = _fields(request)
    except Malformed as fault:
        await reply.json(400, _rpc_error(None, INVALID_REQUEST, fault.message, code=fault.code))
        return
    try:
        fields |= await tasks.fields(request)
    except AnswerableError as error:
        if isinstance(error, Unverified):
            identity.doubt()
        status = status_of(error)
        number = INVALID_REQUEST if status == 400 else INTERNAL_ERROR
        await reply.json(
            status, _rpc_error(identifier, number, error.message, code=error.code, effect="none")
        )
        return
    try:
        async with client.stream(
            request.method,
            base + request.target,
            content=request.body,
            headers=fields,
            auth=identity.auth,
        ) as response:
            if response.status_code == HTTP_UNAUTHORIZED and KEY_REFUSED in _challenge(response):
                identity.doubt()
            answered = [(n, response.headers[n]) for n in _ANSWERED if n in response.headers]
            await reply.begin(response.status_code, answered)
            async for piece in response.aiter_bytes():
                await reply.piece(piece)
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as fault:
        text = f"the gateway cannot be reached ({connection_fault(fault)}); nothing was done"
        await _failed(reply, _rpc_error(identifier, INTERNAL_ERROR, text, effect="none"))
    except httpx2.HTTPError as fault:
        text = f"the connection to the gateway was lost ({connection_fault(fault)}); it may have been done"
        await _failed(reply, _rpc_error(identifier, INTERNAL_ERROR, text, effect="unknown"))
    except AnswerableError as error:
        await _failed(reply, _rpc_error(identifier, INTERNAL_ERROR, error.message, code=error.code))


def _challenge(response: httpx2.Response) -> str:
    return ", ".join(response.headers.get_list("www-authenticate"))


async def _failed(reply: Reply, error: dict[str, JSONValue]) -> None:
    if reply.begun:
        # The status is already sent: abort the connection, so that a truncated answer does not look complete.
        raise ConnectionAbortedError
    await reply.json(502, error)


def _checked(request: HttpRequest) -> JSONValue:
    """Check the request and return the id of its message, if any. Raises Malformed."""
    if request.method not in ("POST", "GET", "DELETE") or not _TARGET.fullmatch(request.target):
        raise SIDECAR_PATH(
            f"{shown(request.method, 16)} {shown(request.target)} is not what a handle serves: MCP at "
            "/mcp/SERVER, /instance, /sub-agents, /tasks and /delegations"
        )
    if request.method != "POST":
        if request.body:
            raise SIDECAR_MESSAGE(f"{request.method} has no body")
        return None
    value = parse(request.body, limits=_LIMITS)
    if (
        not isinstance(value, dict)
        or value.get("jsonrpc") != "2.0"
        or not isinstance(value.get("method"), str)
    ):
        raise SIDECAR_MESSAGE("a message is one JSON-RPC 2.0 request or notification")
    return value.get("id")


def _fields(request: HttpRequest) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name in _PASSED:
        values = request.values(name)
        if len(values) > 1:
            raise SIDECAR_FIELD(f"field `{name}` is given twice")
        if values:
            fields[name] = values[0]
    # Responses are passed through and not decompressed here.
    return {**fields, "accept-encoding": "identity"}


def _rpc_error(identifier: JSONValue, number: int, message: str, **more: JSONValue) -> dict[str, JSONValue]:
    return {
        "jsonrpc": "2.0",
        "id": identifier if isinstance(identifier, str | int) else None,
        "error": {"code": number, "message": message, "data": dict(more)},
    }

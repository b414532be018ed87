"""Send messages to the gateway over HTTP and pass every answer to the writer. Adds headers and proofs, and changes no
byte of a message."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx2
import msgspec

from answerable.apps.mcp_shim.lines import INTERNAL_ERROR, error_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from answerable.core.canonical import JSONValue

ANSWER_BYTES_MAX: Final = 8 * 1024 * 1024
VERSION_META: Final = "io.modelcontextprotocol/protocolVersion"
SESSION_FIELD: Final = "mcp-session-id"

OPENING_SECONDS_MAX: Final = 30.0
"""Longest wait for an answer that the gateway gives by itself, so that a program that never answers is noticed."""

OPENING: Final = frozenset({"initialize", "server/discover", "ping"})
_NAMED_BY: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_PLAIN_FIELD: Final = re.compile(r"[\x20-\x7e]*")
_WRAPPED_FIELD: Final = re.compile(r"=\?base64\?.*\?=")


class SessionGoneError(Exception):
    """The gateway no longer knows the session; it did nothing with the message."""


@dataclass(slots=True, kw_only=True)
class Session:
    """A session of the session-based era. opening: the client's `initialize` message, to open another session with
    it. is_answered: whether the gateway has answered anything, in either era."""

    id: str = ""
    version: str = ""
    opening: bytes = b""
    is_answered: bool = False


def is_modern(message: dict[str, JSONValue]) -> str:
    """Return the revision in the message's envelope, which only stateless revisions have; empty otherwise."""
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    version = meta.get(VERSION_META) if isinstance(meta, dict) else None
    return version if isinstance(version, str) and message.get("method") != "initialize" else ""


def fields_of(message: dict[str, JSONValue], session: Session) -> dict[str, str]:
    """Return the header fields for a message (MCP 2026-07-28 and 2025-11-25, transports)."""
    fields = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    method = str(message.get("method", ""))
    if version := is_modern(message):
        fields |= {"mcp-protocol-version": field_text(version), "mcp-method": field_text(method)}
        params = message.get("params")
        name = params.get(_NAMED_BY.get(method, "")) if isinstance(params, dict) else None
        if isinstance(name, str):
            fields["mcp-name"] = field_text(name)
        return fields
    if method != "initialize":
        if session.id:
            fields[SESSION_FIELD] = session.id
        if session.version:
            fields["mcp-protocol-version"] = session.version
    return fields


def field_text(value: str) -> str:
    """Return a value encoded for a header field (MCP 2026-07-28, header encoding)."""
    if _PLAIN_FIELD.fullmatch(value) and value == value.strip() and not _WRAPPED_FIELD.fullmatch(value):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode('ascii')}?="


async def send(
    client: httpx2.AsyncClient,
    url: str,
    body: bytes,
    message: dict[str, JSONValue],
    session: Session,
    write: Callable[[bytes], Awaitable[None]],
) -> None:
    """Send one message and pass on everything that answers it.

    Raises SessionGoneError, and httpx2.HTTPError when the gateway cannot be reached, the connection is lost, or nothing
    answers in time.
    """
    fields = fields_of(message, session)
    timeout = client.timeout
    if message.get("method") in OPENING:
        timeout = httpx2.Timeout(OPENING_SECONDS_MAX, connect=timeout.connect)
    async with client.stream("POST", url, content=body, headers=fields, timeout=timeout) as response:
        session.is_answered = True
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if response.status_code == 404 and SESSION_FIELD in fields:
            raise SessionGoneError
        if message.get("method") == "initialize" and response.is_success:
            session.id = response.headers.get(SESSION_FIELD, "")
            session.opening = body
        if kind == "text/event-stream":
            async for event in httpx2.EventSource(response, max_event_size=ANSWER_BYTES_MAX):
                if event.data:
                    await _pass(event.data.encode(), message, session, write)
        elif kind == "application/json" and _is_message(body := await _body(response)):
            await _pass(body, message, session, write)
        elif "id" in message:
            text = f"the gateway answered HTTP {response.status_code}"
            await write(error_line(message["id"], INTERNAL_ERROR, text, effect="unknown"))


async def is_there(client: httpx2.AsyncClient, url: str) -> bool:
    """Whether a program at the gateway's address speaks HTTP. Asks for nothing and proves nothing."""
    timeout = httpx2.Timeout(OPENING_SECONDS_MAX, connect=client.timeout.connect)
    try:
        await client.request("OPTIONS", url, auth=None, timeout=timeout)
    except httpx2.HTTPError:
        return False
    return True


async def _pass(
    text: bytes,
    message: dict[str, JSONValue],
    session: Session,
    write: Callable[[bytes], Awaitable[None]],
) -> None:
    if "id" not in message or not text:
        return
    if message.get("method") == "initialize":
        session.version = _agreed_version(text) or session.version
    # An error that stopped a message before its id was read has no id; set it, since the request is known here.
    if b'"id":null' in text[:64] or b'"id": null' in text[:64]:
        text = _with_id(text, message["id"])
    await write(text)


def _is_message(text: bytes) -> bool:
    """Whether the text is a JSON-RPC message, and not a page of another program that listens there: a client waits for
    a message."""
    try:
        answer = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return isinstance(answer, dict) and answer.get("jsonrpc") == "2.0"


async def _body(response: httpx2.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            raise httpx2.RemoteProtocolError("the gateway's answer is too long")
    return bytes(body)


def _agreed_version(text: bytes) -> str:
    try:
        answer = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    result = answer.get("result") if isinstance(answer, dict) else None
    version = result.get("protocolVersion") if isinstance(result, dict) else None
    return version if isinstance(version, str) else ""


def _with_id(text: bytes, request_id: JSONValue) -> bytes:
    try:
        answer = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return error_line(request_id, INTERNAL_ERROR, "the gateway's answer is no JSON", effect="unknown")
    return msgspec.json.encode({**answer, "id": request_id}) if isinstance(answer, dict) else text

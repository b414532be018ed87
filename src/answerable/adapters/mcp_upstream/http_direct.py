"""Send direct requests to a stateless streamable HTTP server: one POST each, answered in JSON or as an event stream.

Requests to a server of the session-based era go through the session, which holds its session id and streams.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio
import httpx2
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import NAME_BEARING_METHODS, encode_header_value
from mcp_types import CONNECTION_CLOSED, INTERNAL_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from answerable.adapters.mcp_upstream.direct import (
    FIRST_ID,
    Envelope,
    SessionOnlyError,
    decoded,
    is_unasked,
)
from answerable.adapters.mcp_upstream.http_transport import bound
from answerable.adapters.mcp_upstream.live import TimedOutError
from answerable.adapters.mcp_upstream.marks import ERROR_CODE, marked
from answerable.adapters.mcp_upstream.unasked import UNASKED_BYTES_MAX

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

_JSON: Final = "application/json"
_EVENTS: Final = "text/event-stream"
_NAMED_BY: Final = {**NAME_BEARING_METHODS, "tasks/cancel": "taskId"}
"""The parameter that a header field repeats, by method. `tasks/cancel` is the tasks extension's own."""


def http_direct(
    url: str, client: httpx2.AsyncClient, transport: httpx2.AsyncBaseTransport, bytes_max: int, version: str
) -> HttpDirect | None:
    """Return the direct requester for a server with this negotiated revision; None if the revision does not allow
    direct requests.

    client: only its timeouts are used. transport: the client's. bytes_max: of one answer and all events before it.
    """
    if version not in MODERN_PROTOCOL_VERSIONS:
        return None
    return HttpDirect(
        url, transport=transport, timeout=client.timeout, answer_bytes_max=bytes_max, version=version
    )


class HttpDirect:
    """Sends direct requests over HTTP (see `Direct`). transport: the ContainedTransport of `http_transport`, which
    contains failures and bounds bodies. timeout: of each phase of a request."""

    def __init__(
        self,
        url: str,
        *,
        transport: httpx2.AsyncBaseTransport,
        timeout: httpx2.Timeout,
        answer_bytes_max: int,
        version: str,
    ) -> None:
        self._url = httpx2.URL(url)
        self._transport = transport
        self._extensions = {"timeout": timeout.as_dict()}
        self._answer_bytes_max = answer_bytes_max
        self._envelope = Envelope(version)
        self._next = FIRST_ID
        self._fields = {
            "accept": f"{_JSON}, {_EVENTS}",
            "accept-encoding": "identity",
            "content-type": _JSON,
            "mcp-protocol-version": version,
        }

    async def ask(self, method: str, params: dict[str, JSONValue], *, seconds: float) -> dict[str, Any]:
        """Send a request (see `Direct`). Closing the HTTP exchange tells the server to stop."""
        number, self._next = self._next, self._next + 1
        fields = {**self._fields, "mcp-method": method}
        name = params.get(_NAMED_BY.get(method, ""))
        if isinstance(name, str):
            fields["mcp-name"] = encode_header_value(name)
        request = httpx2.Request(
            "POST",
            self._url,
            headers=fields,
            content=self._envelope.request(number, method, params),
            extensions=dict(self._extensions),
        )
        with anyio.move_on_after(seconds):
            response = await self._transport.handle_async_request(request)
            # As an HTTP client does: the event stream reader needs the request for its errors.
            response.request = request
            try:
                return self._envelope.result(method, await self._answer(response))
            finally:
                await response.aclose()
        raise TimedOutError

    async def _answer(self, response: httpx2.Response) -> object:
        """Return the JSON-RPC answer in an HTTP response, read as the SDK's client (2.3) reads it. Raises MCPError."""
        status, kind = response.status_code, response.headers.get("content-type", "").lower()
        if status == 202:
            raise MCPError(INVALID_REQUEST, "server answered a request with 202 Accepted")
        if 300 <= status < 400:
            raise SessionOnlyError
        try:
            if kind.startswith(_JSON):
                answer = decoded(await response.aread())
                if status < 400 or _is_error(answer):
                    return answer
            elif status < 400 and kind.startswith(_EVENTS):
                return await self._from_events(response)
        except httpx2.StreamError as fault:
            raise MCPError(ERROR_CODE, str(fault), marked("unknown")) from None
        if status < 400:
            raise MCPError(INVALID_REQUEST, f"Unexpected content type: {kind[:100]}")
        if status == 404:
            raise MCPError(METHOD_NOT_FOUND, "Not Found")
        raise MCPError(INTERNAL_ERROR, "Server returned an error response")

    async def _from_events(self, response: httpx2.Response) -> object:
        """Return the answer at the end of an event stream; unsolicited messages before it are skipped."""
        bound(response, self._answer_bytes_max)
        try:
            async for event in httpx2.EventSource(response, max_event_size=None):
                text = event.data.encode() if event.event == "message" else b""
                if len(text) > UNASKED_BYTES_MAX and is_unasked(text):
                    continue
                message = decoded(text) if text else {}
                if not isinstance(message, dict) or (message and "method" not in message):
                    return message
        except httpx2.SSEError as fault:
            raise MCPError(CONNECTION_CLOSED, f"SSE stream failed: {fault}") from None
        raise MCPError(CONNECTION_CLOSED, "SSE stream ended without a response")


def _is_error(answer: object) -> bool:
    return isinstance(answer, dict) and isinstance(answer.get("error"), dict)

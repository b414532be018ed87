"""Parse the single request or notification in a body strictly, and stop invalid ones with JSON-RPC errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.apps.mcp_gateway.rpc_errors import INVALID_REQUEST, PARSE_ERROR
from answerable.core.canonical import Limits, parse
from answerable.core.json_extent import check_extent
from answerable.errors import Malformed

if TYPE_CHECKING:
    from answerable.apps.mcp_gateway.services import GatewayLimits
    from answerable.core.canonical import JSONValue


class StoppedError(Exception):
    """A message that the gateway answers itself with a JSON-RPC error."""

    def __init__(self, status: int, code: int, message: str, reason: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.reason = status, code, message, reason


def check_kind(headers: dict[bytes, bytes]) -> None:
    """Check that a body is declared as JSON. Raises StoppedError."""
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != b"application/json":
        raise StoppedError(415, INVALID_REQUEST, "a message is application/json", "http.content_type")


def parsed_message(body: bytes, limits: GatewayLimits) -> dict[str, JSONValue]:
    """Return the message in a body. Raises StoppedError."""
    try:
        check_extent(body, limits.members_max)
        parsing = Limits(size_bytes_max=limits.body_bytes_max, depth_max=limits.depth_max)
        value = parse(body, limits=parsing)
    except Malformed as fault:
        raise StoppedError(400, PARSE_ERROR, f"parse error: {fault.message}", fault.code) from None
    if isinstance(value, list):
        raise StoppedError(400, INVALID_REQUEST, "JSON-RPC batches are not supported", "rpc.batch")
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0":
        raise StoppedError(400, INVALID_REQUEST, "a message must be one JSON-RPC 2.0 object", "rpc.shape")
    if not isinstance(value.get("method"), str):
        # The gateway sends no requests to clients, so a client has nothing to respond to.
        raise StoppedError(400, INVALID_REQUEST, "a message has a method", "rpc.shape")
    if "id" in value and type(value["id"]) not in (str, int):
        raise StoppedError(400, INVALID_REQUEST, "an id is text or an integer", "rpc.shape")
    if value.keys() - {"jsonrpc", "id", "method", "params"}:
        raise StoppedError(400, INVALID_REQUEST, "a message has an unknown member", "rpc.shape")
    return value

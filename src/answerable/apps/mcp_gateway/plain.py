"""Recognise plain requests: governed requests of stateless clients that want only one answer, and answer them without
the SDK.

Nearly every request is plain, and the SDK's server would cost more than the walk. So a plain request goes straight to
the gate. Only a request that is correct in every field and member is plain: all others go through the SDK, which
produces the protocol's own errors.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import ERROR_CODE_HTTP_STATUS, NAME_BEARING_METHODS
from mcp_types import CLIENT_CAPABILITIES_META_KEY, PROTOCOL_VERSION_META_KEY
from mcp_types.methods import CLIENT_REQUESTS
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from answerable.apps.mcp_gateway.arrival import Arrival
    from answerable.apps.mcp_gateway.gate import Gate
    from answerable.core.canonical import JSONValue

ACCEPT_KEPT_MAX: Final = 256

_OK: Final = 200
_VERSIONS: Final = {version.encode(): version for version in MODERN_PROTOCOL_VERSIONS}
_ENCODED_NAME: Final = b"=?"
_PARAM_FIELD: Final = b"mcp-param-"


def plain_version(
    fields: Mapping[bytes, bytes], lines: Collection[tuple[bytes, bytes]], message: Mapping[str, JSONValue]
) -> str | None:
    """Return the revision of a plain request, None for any other message. fields: those that occur once. lines: all."""
    version = _VERSIONS.get(fields.get(b"mcp-protocol-version", b""))
    method, params = message.get("method"), message.get("params")
    if version is None or not isinstance(method, str) or not isinstance(params, dict) or "id" not in message:
        return None
    key, meta = NAME_BEARING_METHODS.get(method), params.get("_meta")
    if key is None or not isinstance(meta, dict) or (method, version) not in CLIENT_REQUESTS:
        return None
    if meta.get(PROTOCOL_VERSION_META_KEY) != version or CLIENT_CAPABILITIES_META_KEY not in meta:
        return None
    name, named = params.get(key), fields.get(b"mcp-name", b"")
    if (
        not isinstance(name, str)
        or not name.isascii()
        or named.startswith(_ENCODED_NAME)
        or named != name.encode()
    ):
        return None
    if fields.get(b"mcp-method") != method.encode() or "progressToken" in meta:
        return None
    readable = False
    for field, value in lines:
        if field == b"accept":
            readable = readable or _takes_json(value)
        elif field.startswith(_PARAM_FIELD):
            return None
    return version if readable else None


async def plain_answer(gate: Gate, arrival: Arrival, version: str) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status and the JSON-RPC answer. Raises nothing but cancellation."""
    request_id = arrival.message["id"]
    try:
        result = await gate.answer(arrival, str(arrival.message["method"]), version)
    except MCPError as refused:
        error: dict[str, Any] = {"code": refused.code, "message": refused.message}
        if refused.data is not None:
            error["data"] = refused.data
        status = ERROR_CODE_HTTP_STATUS.get(refused.code, _OK)
        return status, {"jsonrpc": "2.0", "id": request_id, "error": error}
    return _OK, {"jsonrpc": "2.0", "id": request_id, "result": result}


@lru_cache(maxsize=ACCEPT_KEPT_MAX)
def _takes_json(accept: bytes) -> bool:
    kinds = {part.partition(b";")[0].strip().lower() for part in accept.split(b",")}
    return not kinds.isdisjoint({b"application/json", b"application/*", b"*/*"})

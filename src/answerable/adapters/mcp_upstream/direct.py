"""Define direct requests, which bypass the SDK's client session, and encode and decode their messages.

The session connects, negotiates, lists, follows changes and reports progress. A plain request needs none of that, and
in the session it passes two tasks, four streams and three models, which costs several times as much as the gateway's
own processing. `stdio_direct` and `http_direct` transport these requests.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    CLIENT_INFO_META_KEY,
    PROTOCOL_VERSION_META_KEY,
    Implementation,
)
from mcp_types.methods import validate_server_result
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from answerable import __version__
from answerable.adapters.mcp_upstream.catalogue import LIST_METHODS
from answerable.adapters.mcp_upstream.marks import ERROR_CODE, marked

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

CLIENT_INFO: Final = Implementation(name="answerable", version=__version__)
FIRST_ID: Final = 1 << 30
"""First id of direct requests. Session ids start at zero and never reach this number."""


class _Asking(msgspec.Struct):
    """Decodes only the member that distinguishes an unsolicited message from an answer."""

    method: object = None


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder()
_ASKING: Final = msgspec.json.Decoder(_Asking)
# Members defined only by the newest revision; in answers of older revisions they have no meaning and are removed.
_LATER_MEMBERS: Final = ("resultType", "inputRequests", "requestState", "ttlMs", "cacheScope")


class Direct(Protocol):
    """Sends direct requests on one connection."""

    async def ask(self, method: str, params: dict[str, JSONValue], *, seconds: float) -> dict[str, Any]:
        """Send a request and wait for its result. Cancelling the call tells the server to stop.

        Raises NotSentError, TimedOutError, MCPError, pydantic's ValidationError, and SessionOnlyError if nothing was
        done and the request must go through the session.
        """
        ...


class SessionOnlyError(Exception):
    """The server did nothing; the request must go through the session."""


class Envelope:
    """Builds requests and checks answers for one connection's protocol revision."""

    def __init__(self, version: str) -> None:
        self.version = version
        self._modern = version in MODERN_PROTOCOL_VERSIONS
        info = CLIENT_INFO.model_dump(by_alias=True, mode="json", exclude_none=True)
        self._meta: dict[str, JSONValue] = {
            PROTOCOL_VERSION_META_KEY: version,
            CLIENT_INFO_META_KEY: info,
            CLIENT_CAPABILITIES_META_KEY: {},
        }

    def request(self, number: int, method: str, params: dict[str, JSONValue]) -> bytes:
        """Return one JSON-RPC request. params: their `_meta` must hold none of the protocol's own members."""
        if self._modern:
            meta = params.get("_meta")
            params = {**params, "_meta": {**(meta if isinstance(meta, dict) else {}), **self._meta}}
        return _ENCODER.encode({"jsonrpc": "2.0", "id": number, "method": method, "params": params})

    def result(self, method: str, answer: object) -> dict[str, Any]:
        """Return the result in an answer, unchanged. Raises MCPError for an error, pydantic's ValidationError for a
        result that the protocol does not allow."""
        match answer:
            case {"jsonrpc": "2.0", "error": {"code": int(code), "message": str(message), **rest}}:
                raise MCPError(code, message, rest.get("data"))
            case {"jsonrpc": "2.0", "result": dict(result), **rest} if "error" not in rest:
                pass
            case _:
                raise MCPError(ERROR_CODE, "the answer is no JSON-RPC message", marked("unknown"))
        ttl = result.get("ttlMs")
        if isinstance(ttl, int | float) and ttl < 0:
            # The session tolerates this too.
            result["ttlMs"] = 0
        if method not in LIST_METHODS:
            # List results are checked entry by entry later: validating thousands of entries as models would block the
            # event loop.
            with suppress(KeyError):
                validate_server_result(method, self.version, result)
        if not self._modern:
            for name in _LATER_MEMBERS:
                result.pop(name, None)
        return result


def cancellation(number: int) -> bytes:
    """Return the notification that cancels a direct request."""
    return _ENCODER.encode(
        {
            "jsonrpc": "2.0",
            "method": "notifications/cancelled",
            "params": {"requestId": number, "reason": "the caller left, or it took too long"},
        }
    )


def decoded(text: bytes) -> object:
    """Return the decoded JSON; None if it is invalid. The session's more lenient reader then tries the text."""
    try:
        return _DECODER.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def is_unasked(text: bytes) -> bool:
    """Whether the message is a request or notification that the server sends. Only the message's method is decoded."""
    try:
        return _ASKING.decode(text).method is not None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False

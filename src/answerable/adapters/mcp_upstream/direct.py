"""Direct requests: those that want their answer and nothing else go around the SDK's client session.

The session connects, negotiates, lists, follows changes and carries progress. A plain request needs none of that, and
in the session it passes two tasks, four streams and three models, at several times the price of the whole walk. Here
are the form of such a request and of its answer; how they travel is up to `stdio_direct` and `http_direct`.
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
"""Ids of direct requests start here; those of the session start at zero and do not get so far in any life."""


class _Asking(msgspec.Struct):
    """Of a message, what tells an answer from all that a server says unasked. Nothing else of it is made."""

    method: object = None


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder()
_ASKING: Final = msgspec.json.Decoder(_Asking)
# Members that the newest revision gave a meaning; in an answer of an older one they have none.
_LATER_MEMBERS: Final = ("resultType", "inputRequests", "requestState", "ttlMs", "cacheScope")


class Direct(Protocol):
    """One connection's short way."""

    async def ask(self, method: str, params: dict[str, JSONValue], *, seconds: float) -> dict[str, Any]:
        """Send a request and wait for its result; leaving tells the server to stop.

        Raises NotSentError, TimedOutError, MCPError, pydantic's ValidationError, and SessionOnlyError when nothing was
        done and the session has to be asked.
        """
        ...


class SessionOnlyError(Exception):
    """The server did nothing, and can only be asked through the session."""


class Envelope:
    """What every request of one connection carries, and what its revision lets an answer be."""

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
        """One JSON-RPC request. params: with a `_meta` that holds nothing of the protocol's own."""
        if self._modern:
            meta = params.get("_meta")
            params = {**params, "_meta": {**(meta if isinstance(meta, dict) else {}), **self._meta}}
        return _ENCODER.encode({"jsonrpc": "2.0", "id": number, "method": method, "params": params})

    def result(self, method: str, answer: object) -> dict[str, Any]:
        """The result in an answer, as it came. Raises MCPError for an error, pydantic's ValidationError for a result
        that the protocol does not know."""
        match answer:
            case {"jsonrpc": "2.0", "error": {"code": int(code), "message": str(message), **rest}}:
                raise MCPError(code, message, rest.get("data"))
            case {"jsonrpc": "2.0", "result": dict(result), **rest} if "error" not in rest:
                pass
            case _:
                raise MCPError(ERROR_CODE, "the answer is no JSON-RPC message", marked("unknown"))
        ttl = result.get("ttlMs")
        if isinstance(ttl, int | float) and ttl < 0:
            # The session is as lenient as that.
            result["ttlMs"] = 0
        if method not in LIST_METHODS:
            # Lists are sorted out entry by entry, and models of thousands of entries would take the loop for long.
            with suppress(KeyError):
                validate_server_result(method, self.version, result)
        if not self._modern:
            for name in _LATER_MEMBERS:
                result.pop(name, None)
        return result


def cancellation(number: int) -> bytes:
    """The notification that a direct request's answer is not waited for any more."""
    return _ENCODER.encode(
        {
            "jsonrpc": "2.0",
            "method": "notifications/cancelled",
            "params": {"requestId": number, "reason": "the caller left, or it took too long"},
        }
    )


def decoded(text: bytes) -> object:
    """A JSON text, None for what is none. The session's own reader is more lenient and gets the next look."""
    try:
        return _DECODER.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def is_unasked(text: bytes) -> bool:
    """Whether a server says this by itself, as a request or notification, told without making objects of the rest."""
    try:
        return _ASKING.decode(text).method is not None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False

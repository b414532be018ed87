"""The JSON-RPC errors of the error family, and the numbers of JSON-RPC and MCP that the front needs.

| branch        | tools/call                        | other methods | HTTP, at the front |
|---------------|-----------------------------------|---------------|--------------------|
| Malformed     | error −32602                      | the same      | 400                |
| Unverified    | error −32010, of the step only    | the same      | 401                |
| Refused       | `isError` result with the reasons | error −32001  | 403                |
| Unavailable   | error −32603, with `retry`        | the same      | 503                |
| Broken        | error −32603, nothing more        | the same      | 500                |

−32001 for denial is the code of the COAZ-MCP binding; MCP leaves −32000 to −32019 to implementations.

The front answers everybody, so it imports nothing of the MCP SDK: a server without a registered upstream has no use for
it. A test holds the numbers to those of the SDK.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, cast

from answerable.core.action.told import told
from answerable.errors import AnswerableError, Malformed, Refused, Unavailable, Unverified

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
DENIED: Final = -32001
UNVERIFIED: Final = -32010
HANDSHAKE_VERSIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""Revisions of the session-based era."""

_STATUS: Final[dict[type[AnswerableError], int]] = {
    Malformed: 400,
    Unverified: 401,
    Refused: 403,
    Unavailable: 503,
}
_OF_STEPS: Final = {
    "channel": "not exactly one agent is registered for the user or the certificate of this connection",
    "replay": "this very message came before, or its number is too old: sign a new one for each call",
}
"""What the caller can do about a failed step, where that is the same whoever asks."""

_log = logging.getLogger(__name__)


def status_of(error: AnswerableError) -> int:
    """Return the HTTP status for an error that stops a message at the front."""
    return _STATUS.get(type(error), 500)


def error_of(error: AnswerableError) -> tuple[int, str, dict[str, JSONValue]]:
    """Return code, message and data of the JSON-RPC error."""
    match error:
        case Malformed():
            return INVALID_PARAMS, error.message, _members_of(error, error.message)
        case Unverified():
            text = f"the proof of possession failed at step `{error.step}`"
            if error.step in _OF_STEPS:
                text += f": {_OF_STEPS[error.step]}"
            if error.key and error.key in error.message:
                # The message has only the sender's own thumbprint and advice: nothing that the sender did not know.
                text += f": {error.message}"
            return UNVERIFIED, text, _members_of(error, text)
        case Refused():
            return DENIED, error.message, refusal_of(error, error.message)
        case Unavailable():
            return INTERNAL_ERROR, error.message, _members_of(error, error.message)
        case _:
            _log.error("internal error: %s", error.message)
            return INTERNAL_ERROR, "internal error", _members_of(error, "internal error")


def _members_of(error: AnswerableError, message: str) -> dict[str, JSONValue]:
    return {"code": error.code, **told(message, effect=error.effect, retry=error.retry)}


def refusal_of(error: Refused, message: str) -> dict[str, JSONValue]:
    """Return what a refusal tells its sender."""
    said: dict[str, JSONValue] = {"code": error.code, **told(message, reasons=error.reasons)}
    if error.denial is not None:
        said["denial"] = cast("JSONValue", {**error.denial})
    if error.entry_index is not None:
        said["entry"] = error.entry_index
        if error.log:
            said["log"] = error.log
    return said

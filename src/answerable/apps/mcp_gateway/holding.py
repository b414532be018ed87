"""Tell a client that its call waits for an approval, in the form that the client supports.

| the client                           | receives                                                            |
|--------------------------------------|---------------------------------------------------------------------|
| revision 2026-07-28, opens addresses | `input_required` with the console's address; it repeats the call    |
| earlier revision, opens addresses    | error −32042 with that address; it repeats the call                 |
| asks for progress, or repeats a call | only progress for a while, then one of the others                   |
| all others                           | a result with `isError`, the approval's id, and that it may ask again |

Laws: nothing a client says about the question answers it, because the client is untrusted: only the console and
people's signatures do. The `requestState` that it returns is the id of an approval requested by this agent, or an
error. A waiting call holds no slot in the walk; a repeated call is matched by its digest, runs once, and is decided
again. Source: MCP 2026-07-28, multi round-trip requests; MCP 2025-11-25, URL mode elicitation.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import anyio
from mcp.shared.exceptions import MCPError
from mcp_types import CLIENT_CAPABILITIES_META_KEY, INVALID_PARAMS
from mcp_types.jsonrpc import URL_ELICITATION_REQUIRED
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from answerable.core.approval.visible import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.apps.mcp_gateway.arrival import Arrival
    from answerable.core.approval.approval import Approval
    from answerable.ports.upstream import Progress

PROGRESS_SECONDS: Final = 5.0
"""Seconds between two progress messages."""
LOOK_SECONDS: Final = 0.25
"""Seconds between two checks whether people have answered."""
SENTENCE_CHARS_MAX: Final = 600
"""Limit for the sentence and for the reasons in a question."""
REASONS_MAX: Final = 8

_ASKABLE: Final = frozenset({"tools/call", "prompts/get", "resources/read"})
"""Methods whose answer may be a question, by the schema of 2026-07-28."""


def repeats_question(arrival: Arrival, asked: Callable[[str], bool]) -> bool:
    """Whether the client repeats a call after it received the address where people answer. asked: whether this caller
    requested the approval with this id.

    Raises MCPError (−32602) for a state that this agent was not given, and for malformed responses (MCP 2026-07-28,
    multi round-trip requests: a server rejects state whose integrity it cannot confirm).
    """
    responses = arrival.params.get("inputResponses", {})
    if not isinstance(responses, dict) or not all(isinstance(one, dict) for one in responses.values()):
        raise MCPError(INVALID_PARAMS, "`inputResponses` must be an object of objects")
    if "requestState" not in arrival.params:
        return False
    state = arrival.params["requestState"]
    if not isinstance(state, str) or not asked(state):
        raise MCPError(INVALID_PARAMS, "`requestState` was not issued to this agent")
    return True


async def until_answered(
    approval: Approval, waits: Callable[[str], bool], *, seconds_max: float, progress: Progress | None
) -> bool:
    """Wait at most `seconds_max` for people's answer; whether they have answered. progress: tells the client that it
    waits."""
    began = told_at = anyio.current_time()
    while waits(approval.id):
        now = anyio.current_time()
        if now - began >= seconds_max:
            return False
        if progress is not None and now - told_at >= PROGRESS_SECONDS:
            told_at = now
            await progress(now - began, None, f"waiting for approval {approval.id}")
        await anyio.sleep(LOOK_SECONDS)
    return True


def question(
    approval: Approval, page: str, *, method: str, version: str, opens_addresses: bool
) -> dict[str, Any] | None:
    """Return the answer that sends a person to the console; None for a client that does not support it, or without a
    console.

    Raises MCPError (−32042) if that is the form of the client's revision.
    """
    if not page or not opens_addresses or method not in _ASKABLE:
        return None
    message = question_text(approval)
    asked = {"mode": "url", "message": message, "url": page, "elicitationId": approval.id}
    if version in MODERN_PROTOCOL_VERSIONS:
        return {
            "resultType": "input_required",
            "inputRequests": {"approval": {"method": "elicitation/create", "params": asked}},
            "requestState": approval.id,
        }
    raise MCPError(URL_ELICITATION_REQUIRED, message, {"elicitations": [asked]})


def question_text(approval: Approval) -> str:
    """Return the text of the question for the client to display: the card's sentence, then the reasons; one line,
    bounded.

    The text is for orientation and is not signed: people answer the card in the console. For an approval that waits in
    another process, only the reasons are known.
    """
    card = json.loads(approval.card.bytes)
    said = card.get("sentence", "") if isinstance(card, dict) else ""
    # The sentence of a card is already spelled out.
    sentence = f"{_cut(str(said), SENTENCE_CHARS_MAX)}. " if said else ""
    reasons = _cut(visible("; ".join(approval.reasons[:REASONS_MAX])), SENTENCE_CHARS_MAX)
    return f"{sentence}{reasons}. Approvers answer on this page."


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def opens_addresses(arrival: Arrival, declared: Any) -> bool:
    """Whether the client declares that it opens addresses for people. declared: its session's capabilities, if any."""
    meta = arrival.params.get("_meta")
    own = meta.get(CLIENT_CAPABILITIES_META_KEY) if isinstance(meta, dict) else None
    if isinstance(own, dict):
        return _has_url(own)
    elicitation = getattr(declared, "elicitation", None)
    return getattr(elicitation, "url", None) is not None


def _has_url(capabilities: Mapping[str, Any]) -> bool:
    elicitation = capabilities.get("elicitation")
    return isinstance(elicitation, dict) and isinstance(elicitation.get("url"), dict)

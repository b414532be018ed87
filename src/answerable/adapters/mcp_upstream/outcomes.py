"""Convert a frozen action to an MCP request, and the answer to an outcome that claims no more than is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import mcp_types
from msgspec import structs

from answerable.adapters.mcp_upstream.marks import mark_of
from answerable.core.action.outcome import Outcome
from answerable.core.action.token_shapes import hidden_in
from answerable.core.canonical import encode
from answerable.core.lease.use import checked_use
from answerable.core.lease.wire import DONE_META, EFFECT_DATA, RETRY_DATA
from answerable.errors import Malformed, shown
from answerable.errors.codes.action import ACTION_METHOD

if TYPE_CHECKING:
    from mcp.shared.exceptions import MCPError

    from answerable.core.canonical import FrozenJSON, JSONValue

SUBSCRIBING: Final = frozenset({"resources/subscribe", "subscriptions/listen"})
ACTION_META: Final = "answerable/action"
IDEMPOTENCY_META: Final = "answerable/idempotency-key"
DETAIL_CHARS_MAX: Final = 200
SEARCHED_CHARS_MAX: Final = 20_000
"""Length of text that is searched for credentials before it is cut, so that a credential that begins before the cut is
found whole."""
TEXT_BLOCKS_READ_MAX: Final = 4
SESSION_CHARS_MAX: Final = 200

# Errors after which it is unknown whether the server acted. −32000 is the SDK's code for a closed connection, −32700
# for an answer that is no JSON. A server may send the same codes, and is then not assumed to have done nothing.
_UNCLEAR_CODES: Final = frozenset({mcp_types.CONNECTION_CLOSED, mcp_types.PARSE_ERROR})
# The SDK's messages (2.3) for HTTP answers that say nothing about the request.
_UNCLEAR_STARTS: Final = ("server answered a request with 202", "Unexpected content type", "SSE stream")


def request_of(
    action: FrozenJSON, *, action_id: str, idempotency_key: str
) -> tuple[str, dict[str, JSONValue]]:
    """Return method and parameters, taken only from the frozen action. Raises Broken (`action.method`)."""
    value = action.thaw()
    match value:
        case {"arguments": dict(arguments), "method": str(method), "target": str(target)}:
            params = _params(method, target, arguments)
        case _:
            params = None
    if params is None:
        raise ACTION_METHOD()
    params["_meta"] = {ACTION_META: action_id, IDEMPOTENCY_META: idempotency_key}
    return method, params


def _params(method: str, target: str, arguments: dict[str, JSONValue]) -> dict[str, JSONValue] | None:
    match method:
        case "tools/call" | "prompts/get":
            return {"name": target, "arguments": arguments}
        case "resources/read" | "resources/subscribe" | "subscriptions/listen":
            return {"uri": target}
        case "completion/complete":
            kind = arguments["ref"]
            named: dict[str, JSONValue] = {"type": kind, "name" if kind == "ref/prompt" else "uri": target}
            params: dict[str, JSONValue] = {
                "ref": named,
                "argument": {"name": arguments["argument"], "value": arguments["value"]},
            }
            if "context" in arguments:
                params["context"] = {"arguments": arguments["context"]}
            return params
    return None


def outcome_of_result(result: dict[str, Any], *, bytes_max: int) -> Outcome:
    """Return the outcome of a result; `indeterminate` with the reason if the result cannot be recorded unchanged."""
    try:
        size = len(encode(result))
    except Malformed as fault:
        return unclear(f"the upstream's answer cannot be kept: {fault.message}")
    if size > bytes_max:
        return unclear(f"the upstream's answer has {size} bytes, more than {bytes_max}")
    kind = result.get("resultType", "complete")
    if kind == "input_required":
        return Outcome(
            status="failed", detail="the upstream asks for input, which this gateway does not offer"
        )
    if kind != "complete":
        return unclear(f"the upstream answered with a result of kind {shown(kind, 40)}")
    if result.get("isError") is True:
        return Outcome(status="failed", detail=_error_text(result), result=result)
    return Outcome(status="succeeded", result=result)


def task_in(result: dict[str, Any]) -> str:
    """Return the id of the task as which the upstream continues the request without being asked to; else empty.

    Only the newest revision has such answers.
    """
    task = result.get("taskId") if result.get("resultType") == "task" else None
    return task if isinstance(task, str) else ""


def with_session(outcome: Outcome) -> Outcome:
    """Move the broker's metadata from the result to the outcome. Agents do not need it, and it must not appear to come
    from a server."""
    result = outcome.result
    meta = result.get("_meta") if result is not None else None
    if result is None or not isinstance(meta, dict) or DONE_META not in meta:
        return outcome
    done, rest = meta[DONE_META], {name: value for name, value in meta.items() if name != DONE_META}
    plain = {name: value for name, value in result.items() if name != "_meta"} | (
        {"_meta": rest} if rest else {}
    )
    said = done.get("session") if isinstance(done, dict) else None
    session = (
        {
            name[:SESSION_CHARS_MAX]: value[:SESSION_CHARS_MAX]
            for name, value in said.items()
            if isinstance(value, str)
        }
        if isinstance(said, dict)
        else {}
    )
    used = checked_use(done.get("used")) if isinstance(done, dict) else None
    return structs.replace(outcome, result=plain, session=session or None, used=used)


def outcome_of_broker(error: MCPError) -> Outcome:
    """Return the outcome of a broker's error, which states whether anything was started."""
    data = error.data if isinstance(error.data, dict) else {}
    if data.get(EFFECT_DATA) == "none":
        return structs.replace(
            not_started(error.message),
            code=str(data.get("code", "")),
            retry=data.get(RETRY_DATA) is not False,
        )
    if data.get(EFFECT_DATA) == "unknown":
        return unclear(error.message)
    return outcome_of_error(error)


def outcome_of_error(error: MCPError) -> Outcome:
    """Return the outcome of an error: the server's own errors are failures, every unclear error is indeterminate."""
    mark = mark_of(error.data)
    if mark == "not_sent":
        return not_started(error.message)
    if mark == "unknown":
        return unclear(error.message)
    if error.code in _UNCLEAR_CODES or error.message.startswith(_UNCLEAR_STARTS):
        return unclear(f"the connection to the upstream was lost: {_quoted(error.message)}")
    return Outcome(
        status="failed",
        detail=f"the upstream answered error {error.code}: {_quoted(error.message)}",
    )


def unclear(detail: str) -> Outcome:
    """Return an outcome for a request that was sent and whose result is unknown."""
    return Outcome(status="indeterminate", detail=detail)


def not_started(detail: str) -> Outcome:
    """Return an outcome for a request that was not sent."""
    return Outcome(status="not_started", detail=detail)


def _quoted(text: str) -> str:
    """Return an upstream's text, shortened. Credentials are hidden first, because a cut one would not be recognised."""
    plain, _ = hidden_in(text[:SEARCHED_CHARS_MAX].encode("utf-8", "replace"))
    return shown(plain.decode(), DETAIL_CHARS_MAX)


def _error_text(result: dict[str, Any]) -> str:
    content = result.get("content")
    for block in content[:TEXT_BLOCKS_READ_MAX] if isinstance(content, list) else ():
        if isinstance(block, dict) and isinstance(block.get("text"), str):
            return f"the upstream reports an error: {_quoted(block['text'])}"
    return "the upstream reports an error"

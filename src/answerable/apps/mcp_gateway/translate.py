"""Translate outcomes, deferrals and the error family to MCP. See `rpc_errors` for the family's errors."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from answerable.apps.mcp_gateway.rpc_errors import DENIED, INTERNAL_ERROR, error_of, refusal_of
from answerable.core.action.told import REASONS_SHOWN_MAX, told
from answerable.core.canonical import encode, parse
from answerable.errors import AnswerableError, Refused, shown

if TYPE_CHECKING:
    from answerable.core.action.outcome import Outcome
    from answerable.core.approval.approval import Approval
    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.answer import Answer

PROTOCOL_META: Final = "io.modelcontextprotocol/"

_AGAIN: Final = "; nothing was done, so the call can be repeated safely"
_ADVICE: Final = {
    "failed": "",
    "not_started": "; nothing was done, and the same call would be refused again",
    "indeterminate": "; it may have been done, so check before repeating the call",
}


def raised(error: AnswerableError, *, method: str, version: str, on_stdio: bool = False) -> dict[str, Any]:
    """Return a refused tool call as a result that a model can read. Raises MCPError for everything else. on_stdio: the
    client is behind a shim and sets no header fields itself."""
    if isinstance(error, Refused):
        error = _with_next_step(error, on_stdio=on_stdio)
        if method == "tools/call":
            # Some clients display only the text, so the text has the code, too.
            text = f"refused: {'; '.join(error.reasons[:REASONS_SHOWN_MAX])} ({error.code})"
            return _tool_error(text, {"state": "refused", **refusal_of(error, text)}, version)
    code, message, extra = error_of(error)
    raise MCPError(code, message, extra)


def _with_next_step(error: Refused, *, on_stdio: bool) -> Refused:
    """Add how the caller names a mandate at this endpoint: the walk does not know the transport."""
    if error.code != "mandate.missing":
        return error
    where = "start the shim with `--mandate ID`" if on_stdio else "name it in the `Answerable-Mandate` header"
    return Refused(
        f"{error.message}: {where}",
        code=error.code,
        reasons=tuple(f"{one}: {where}" for one in error.reasons),
        entry_index=error.entry_index,
        log=error.log,
    )


def answered(answer: Answer, *, method: str, version: str, page: str = "") -> dict[str, Any]:
    """Return the result of a governed request. Raises MCPError if the method has no error result. page: address where
    people answer, if the request waits for an approval."""
    if answer.approval is not None:
        return _deferred(answer.approval, answer.narrowed, method=method, version=version, page=page)
    outcome = answer.outcome
    assert outcome is not None  # noqa: S101 - an answer is an approval or an outcome
    result = None if outcome.result is None else dict(outcome.result)
    if result is None:
        if outcome.status == "succeeded":
            result = {}
        else:
            return _without_result(answer, outcome, method=method, version=version)
    meta = result.get("_meta")
    kept = {
        name: value
        for name, value in (meta.items() if isinstance(meta, dict) else ())
        if version in MODERN_PROTOCOL_VERSIONS or not name.startswith(PROTOCOL_META)
    }
    result["_meta"] = {**kept, **_receipts(answer)}
    content = result.get("content")
    if answer.narrowed and isinstance(content, list):
        # The agent's model reads `content`; `_meta` may never reach it.
        result["content"] = [*content, {"type": "text", "text": narrowing_told(answer.narrowed)}]
    if outcome.prepared is not None:
        _tell_prepared(result, outcome.prepared)
    return shaped(result, method=method, version=version)


def _tell_prepared(result: dict[str, Any], prepared: dict[str, JSONValue]) -> None:
    """Add the result of a preparing tool for the agent's model: how to execute it, or why it cannot be."""
    result["_meta"]["answerable/prepared"] = prepared
    content = result.get("content")
    result["content"] = [
        *(content if isinstance(content, list) else ()),
        {"type": "text", "text": describe_prepared(prepared)},
    ]
    if not prepared["kept"]:
        result["isError"] = True


def describe_prepared(prepared: dict[str, JSONValue]) -> str:
    """Return one line: the digest and the call that takes it, or why nothing was stored."""
    if not prepared["kept"]:
        return f"[not kept, so it cannot be executed: {prepared['why']} ({prepared['code']})]"
    calls = prepared["execute"]
    listed = [
        f"{shown(one['tool'])} with {encode({str(one['argument']): prepared['digest']}).decode()}"
        for one in (calls if isinstance(calls, list) else ())
        if isinstance(one, dict)
    ]
    until = datetime.fromtimestamp(int(str(prepared["expires_at"])) / 1000, UTC).isoformat(timespec="seconds")
    return (
        f"[prepared and kept until {until.replace('+00:00', 'Z')}. To have exactly this executed, call "
        f"{' or '.join(listed)} and nothing beside it]"
    )


def shaped(result: dict[str, Any], *, method: str, version: str) -> dict[str, Any]:
    """Return a result of either era in the form of the caller's revision. Nothing that passes here may be cached for
    others."""
    if version in MODERN_PROTOCOL_VERSIONS:
        result["resultType"] = "complete"
        if method == "resources/read" or method.endswith("/list"):
            result["ttlMs"], result["cacheScope"] = 0, "private"
        return result
    for name in ("resultType", "ttlMs", "cacheScope"):
        result.pop(name, None)
    return result


def _deferred(approval: Approval, narrowed: bytes, *, method: str, version: str, page: str) -> dict[str, Any]:
    text = (
        f"waiting for approval {approval.id}: {'; '.join(approval.reasons)}. Nothing has been done. Make exactly the "
        "same call again after it was approved; it then runs once. A changed argument needs a new approval"
    )
    if narrowed:
        text += f". What waits has narrower arguments than asked for: {shown(narrowed.decode(), 500)}"
    state: dict[str, JSONValue] = {
        "approvalId": approval.id,
        "state": approval.state,
        "expiresAt": approval.expires_at,
        "digest": approval.action.hex,
        **told(text, reasons=approval.reasons, retry=True, page=page),
    }
    if method == "tools/call":
        return _tool_error(text, state, version)
    raise MCPError(DENIED, text, state)


def _without_result(answer: Answer, outcome: Outcome, *, method: str, version: str) -> dict[str, Any]:
    status = outcome.status
    started = status != "not_started"
    retry = not started and outcome.retry
    text = f"{status.replace('_', ' ')}: {outcome.detail}{_AGAIN if retry else _ADVICE.get(status, '')}"
    state: dict[str, JSONValue] = {
        "state": status,
        "detail": outcome.detail,
        "actionId": answer.action_id,
        **told(text, reasons=(outcome.detail,), effect="unknown" if started else "none", retry=retry),
    }
    if method == "tools/call":
        return _tool_error(text, state, version, meta=_receipts(answer))
    raise MCPError(INTERNAL_ERROR, text, {**state, **_receipts(answer)})


def _receipts(answer: Answer) -> dict[str, JSONValue]:
    """Return where the ledger records the action."""
    found: dict[str, JSONValue] = {"answerable/action": answer.action_id}
    if answer.narrowed:
        found["answerable/narrowed"] = parse(answer.narrowed)
    if answer.log:
        found["answerable/log"] = answer.log
    if answer.intent is not None:
        found["answerable/intent"] = answer.intent.index
    if answer.receipt is not None:
        found["answerable/outcome"] = answer.receipt.index
    newest = answer.receipt or answer.intent
    if newest is not None and newest.head is not None:
        # With the signed head the caller can prove that the log held these entries, before any checkpoint covers them.
        found["answerable/head"] = newest.head.signed().decode()
    return found


def narrowing_told(narrowed: bytes) -> str:
    """Return the text that tells the agent with which arguments the action was done instead of the requested ones."""
    return (
        f"[by policy: this was done with narrower arguments than asked for: {shown(narrowed.decode(), 500)}]"
    )


def _tool_error(
    text: str, state: dict[str, JSONValue], version: str, *, meta: dict[str, JSONValue] | None = None
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "content": [{"type": "text", "text": text}],
        "structuredContent": state,
        "isError": True,
    }
    if meta:
        result["_meta"] = meta
    return shaped(result, method="tools/call", version=version)

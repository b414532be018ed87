"""Convert an HTTP API's response to an MCP tool result: bounded, parsed, and with the lease's token removed."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import Limits, parse
from answerable.core.lease.credential import HIDDEN
from answerable.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

TEXT_CHARS_MAX: Final = 400
"""Limit of the short text beside the structured content."""
_JSON: Final = ("application/json", "+json")
_FIRST_ERROR: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerLimits:
    """Limits of a response. bytes_max: size of one body; a longer body is cut, and the result has `cut: true`."""

    bytes_max: int = 262_144


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One response as received. is_cut: the body was longer than the limit."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_cut: bool = False


def result_of(
    answer: Answer, *, shown_headers: tuple[str, ...], hidden: tuple[str, ...]
) -> dict[str, object]:
    """Return an MCP `CallToolResult`. shown_headers: response headers to include. hidden: secrets, which are removed
    wherever the server repeats them."""
    told: dict[str, JSONValue] = {"status": answer.status, "cut": answer.is_cut}
    headers: dict[str, JSONValue] = {
        name: without(answer.headers[name], hidden) for name in shown_headers if name in answer.headers
    }
    if headers:
        told["headers"] = headers
    told |= _body(answer, hidden)
    text = f"{_status(answer.status)}, {len(answer.body)} bytes{', cut' if answer.is_cut else ''}"
    if answer.status >= _FIRST_ERROR:
        text += f": {without(answer.body.decode(errors='replace'), hidden)[:TEXT_CHARS_MAX]}"
    return {
        "content": [{"type": "text", "text": text}],
        "structuredContent": told,
        "isError": answer.status >= _FIRST_ERROR,
    }


def without(text: str, hidden: tuple[str, ...]) -> str:
    """Return the text with every secret replaced."""
    for secret in hidden:
        text = text.replace(secret, HIDDEN)
    return text


def _body(answer: Answer, hidden: tuple[str, ...]) -> dict[str, JSONValue]:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    # Secrets are removed before parsing, so that JSON syntax cannot split one, and again after it, so that no escape
    # can encode one.
    text = without(answer.body.decode(errors="replace"), hidden)
    if kind.endswith(_JSON) and not answer.is_cut and text:
        try:
            return {
                "json": _cleaned(
                    parse(text.encode(), limits=Limits(size_bytes_max=len(text.encode()))), hidden
                )
            }
        except Malformed:
            # Not JSON, or JSON with numbers that parsers read differently: returned as text.
            pass
    return {"text": text} if text else {}


def _cleaned(value: JSONValue, hidden: tuple[str, ...]) -> JSONValue:
    if isinstance(value, str):
        return without(value, hidden)
    if isinstance(value, list):
        return [_cleaned(one, hidden) for one in value]
    if isinstance(value, dict):
        return {without(name, hidden): _cleaned(one, hidden) for name, one in value.items()}
    return value


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)

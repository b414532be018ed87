"""Define the MCP tools of an HTTP target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.lease.requests import METHODS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

_ANSWER: Final = (
    "The answer has `status`, `headers`, and the body as `json`, `text` or `base64`; `cut` says that it was longer. "
    "Redirects are shown, not followed. Credentials are added for you: send none."
)
_ANYTHING: Final[JSONValue] = {"additionalProperties": True, "items": {"$ref": "#/$defs/anything"}}
"""Open at every depth, explicitly: the gateway closes object and list schemas that do not declare themselves open."""


def request_tools(headers_let: tuple[str, ...]) -> tuple[Mapping[str, JSONValue], ...]:
    """Return the tools: `read` for requests that change nothing, `request` for all."""
    shared: dict[str, JSONValue] = {
        "path": {
            "type": "string",
            "description": "Begins with `/`, unencoded, without `?`: parameters go into `query`.",
        },
        "query": {
            "type": "object",
            "description": "Parameters by name.",
            "additionalProperties": {"type": "string"},
        },
        "headers": {
            "type": "object",
            "description": f"Allowed: {', '.join(headers_let) or 'none'}.",
            "properties": {name: {"type": "string"} for name in headers_let},
            "additionalProperties": False,
        },
    }
    body: dict[str, JSONValue] = {
        "body": {
            "type": ["object", "array", "string", "number", "boolean"],
            "description": "A body that is sent as JSON.",
            "$ref": "#/$defs/anything",
        },
        "text": {"type": "string", "description": "A body that is sent as it is, instead of `body`."},
    }
    read: dict[str, JSONValue] = {
        "method": {"type": "string", "enum": ["GET", "HEAD"], "default": "GET"},
        **shared,
    }
    any_method: dict[str, JSONValue] = {"method": {"type": "string", "enum": list(METHODS)}, **shared, **body}
    return (
        _tool(
            "read", "Read over HTTP", f"Sends a GET or HEAD request. {_ANSWER}", read, ["path"], reads=True
        ),
        _tool(
            "request",
            "Send an HTTP request",
            f"Sends one request, which may change something. {_ANSWER}",
            any_method,
            ["method", "path"],
            reads=False,
        ),
    )


def _tool(
    name: str,
    title: str,
    description: str,
    properties: Mapping[str, JSONValue],
    required: list[JSONValue],
    *,
    reads: bool,
) -> dict[str, JSONValue]:
    return {
        "name": name,
        "title": title,
        "description": description,
        "inputSchema": {
            "type": "object",
            "properties": dict(properties),
            "required": required,
            "additionalProperties": False,
            "$defs": {"anything": _ANYTHING},
        },
        "annotations": {
            "title": title,
            "readOnlyHint": reads,
            "destructiveHint": not reads,
            "idempotentHint": reads,
            "openWorldHint": True,
        },
    }

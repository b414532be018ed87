"""Results of a target's tools, in the shape of an MCP `CallToolResult`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

SAID_CHARS_MAX: Final = 1_000


def success(structured: Mapping[str, JSONValue], text: str) -> dict[str, object]:
    """Return the result of a call that the target carried out. text: the same for a reader."""
    return {"content": [{"type": "text", "text": text}], "structuredContent": structured, "isError": False}


def refusal(said: str) -> dict[str, object]:
    """Return the result of a call that the target refused. said: the target's own text; cut at 1,000 characters. The
    caller leaves secrets out of it."""
    return {"content": [{"type": "text", "text": said[:SAID_CHARS_MAX]}], "isError": True}

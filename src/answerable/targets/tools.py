"""Describe a target's tools as MCP lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue


def described_tool(
    name: str,
    title: str,
    says: str,
    properties: Mapping[str, JSONValue],
    *needed: str,
    hints: Mapping[str, JSONValue],
) -> dict[str, JSONValue]:
    """Return the description of a tool that takes these arguments and no other ones."""
    required: list[JSONValue] = [*needed]
    return {
        "name": name,
        "title": title,
        "description": says,
        "inputSchema": {
            "type": "object",
            "properties": {**properties},
            "required": required,
            "additionalProperties": False,
        },
        "annotations": {**hints},
    }


def hints(
    *, reads: bool = False, destroys: bool = False, repeats: bool = False, goes_out: bool = False
) -> dict[str, JSONValue]:
    """Return the hints on a tool. repeats: a second equal call changes nothing more. goes_out: what it sends or gets
    leaves or comes from outside the target."""
    return {
        "readOnlyHint": reads,
        "destructiveHint": destroys,
        "idempotentHint": repeats,
        "openWorldHint": goes_out,
    }

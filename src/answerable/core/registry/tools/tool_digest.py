"""Compute one digest over the tools that an agent is given, as the gateway lists them.

Laws: the order of servers, tools and members does not matter; name, description and input schema all count, and nothing
else: hints and titles, which do not influence the model's choice, may change; a duplicate tool has no digest.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import encode
from answerable.core.identity.names.principal import checked_name
from answerable.errors import shown
from answerable.errors.codes.registry import TOOL_COUNT, TOOL_DUPLICATE, TOOL_MALFORMED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from answerable.core.canonical import JSONValue

TOOLS_MAX: Final = 5_000


def tools_digest(listed: Mapping[str, Iterable[JSONValue]]) -> str:
    """Return `sha256:HEX` over the tools of each registered server, by its name.

    SHA-256 of the RFC 8785 encoding of `[[server, name, description, inputSchema], ...]`, sorted by server and name; an
    absent description is the empty text. Servers without tools do not count. Empty text if there is no tool at all.
    Raises Malformed (`tool.malformed`, `tool.duplicate`, `tool.count`, `name.invalid`, `json.*`).
    """
    rows: dict[tuple[str, str], JSONValue] = {}
    for server, tools in listed.items():
        checked_name(server, what="server")
        for tool in tools:
            name, row = _row(server, tool)
            if (server, name) in rows:
                raise TOOL_DUPLICATE(f"server {shown(server)} lists tool {shown(name)} twice")
            rows[server, name] = row
            if len(rows) > TOOLS_MAX:
                raise TOOL_COUNT(f"more than {TOOLS_MAX} tools")
    if not rows:
        return ""
    return f"sha256:{sha256(encode([rows[key] for key in sorted(rows)])).hexdigest()}"


def _row(server: str, tool: JSONValue) -> tuple[str, JSONValue]:
    if isinstance(tool, dict):
        name, description, schema = tool.get("name"), tool.get("description", ""), tool.get("inputSchema")
        if isinstance(name, str) and name and isinstance(description, str) and isinstance(schema, dict):
            return name, [server, name, description, schema]
    raise TOOL_MALFORMED(
        "a tool definition needs a `name`, an `inputSchema` and, if any, a `description` that is text"
    )

"""Read the MCP servers that a project's client configuration files name. Arguments and environments may contain secrets
and are never displayed.

Shapes: `mcpServers` (Claude Desktop, Claude Code, Cursor) and `servers` (VS Code).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from answerable.core.canonical import Limits, parse
from answerable.errors import Malformed, shown

if TYPE_CHECKING:
    from answerable.adapters.project_files.tree import ProjectTree
    from answerable.core.canonical import JSONValue

CLIENT_FILES: Final = (
    ".mcp.json",
    "mcp.json",
    ".cursor/mcp.json",
    ".vscode/mcp.json",
    "mcp_config.json",
    "claude_desktop_config.json",
)
CLIENT_BYTES_MAX: Final = 1_048_576
SERVERS_MAX: Final = 500
_LIMITS: Final = Limits(size_bytes_max=CLIENT_BYTES_MAX, depth_max=16)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientServer:
    """A configured MCP server. how: the program's name, or scheme and host of the address. governed: whether it runs
    through the gateway's shim."""

    name: str
    how: str
    governed: bool
    where: str


def client_servers(tree: ProjectTree, notes: list[str]) -> tuple[ClientServer, ...]:
    """Return every server of every readable configuration file. Adds a note for each file that could not be read."""
    found: list[ClientServer] = []
    for file in CLIENT_FILES:
        octets = tree.text(file)
        if octets is None:
            continue
        try:
            config = parse(octets, limits=_LIMITS)
        except Malformed as error:
            notes.append(f"{file} was left out: {error.message}")
            continue
        for key in ("mcpServers", "servers"):
            entries = config.get(key) if isinstance(config, dict) else None
            for name, entry in entries.items() if isinstance(entries, dict) else ():
                if len(found) >= SERVERS_MAX:
                    notes.append(f"{file}: more than {SERVERS_MAX} servers, the rest was left out")
                    return tuple(found)
                found.append(_server(name, entry, file))
    direct = [shown(one.name, 60) for one in found if not one.governed]
    if direct:
        notes.append(f"not behind the gateway: {', '.join(direct[:20])}; see `answerable mcp wrap`")
    return tuple(found)


def _server(name: str, entry: JSONValue, file: str) -> ClientServer:
    members = entry if isinstance(entry, dict) else {}
    command, arguments, url = members.get("command"), members.get("args"), members.get("url")
    how = "unknown"
    if isinstance(command, str):
        how = PurePosixPath(command.replace("\\", "/")).name
    elif isinstance(url, str):
        how = _address(url)
    governed = isinstance(arguments, list) and arguments[:2] == ["mcp", "shim"]
    return ClientServer(name=name, how=how, governed=governed, where=file)


def _address(url: str) -> str:
    """Return scheme and host only: path, query and user may be secrets."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return "an address that cannot be read"
    return f"{parts.scheme}://{host}"

"""Reading all that an upstream lists, page by page, within bounds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import mcp_types
from mcp.shared.exceptions import MCPError

from answerable.adapters.mcp_upstream.asking import ask
from answerable.adapters.mcp_upstream.catalogue import ENTRIES_MAX, LIST_METHODS, Shelf, catalogue_of
from answerable.errors import Unavailable, shown

if TYPE_CHECKING:
    from mcp.client.session import ClientSession

    from answerable.adapters.mcp_upstream.catalogue import Catalogue
    from answerable.core.canonical import JSONValue

PAGES_MAX: Final = 100
CATALOGUE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Of one kind of entries, all pages together."""


async def read_catalogue(session: ClientSession) -> Catalogue:
    """Everything the server declares that it lists. Raises what the session raises, and Unavailable past a bound."""
    declared = session.server_capabilities or mcp_types.ServerCapabilities()
    offered = {
        "tools/list": declared.tools,
        "prompts/list": declared.prompts,
        "resources/list": declared.resources,
        "resources/templates/list": declared.resources,
    }
    listed: dict[Shelf, list[JSONValue]] = {}
    for method, shelf in LIST_METHODS.items():
        if offered[method] is not None:
            listed[shelf] = await _all_pages(session, method, shelf)
    if '"x-mcp-header"' in json.dumps(listed.get("tools", [])):
        # Only the SDK's own list call lets the session send the headers that such tools ask for.
        await _absorb_tools(session)
    return catalogue_of(listed)


async def _all_pages(session: ClientSession, method: str, shelf: Shelf) -> list[JSONValue]:
    entries: list[JSONValue] = []
    cursor: str | None = None
    size = 0
    for _ in range(PAGES_MAX):
        params: dict[str, JSONValue] | None = None if cursor is None else {"cursor": cursor}
        try:
            page = await ask(session, method, params)
        except MCPError as error:
            # Servers that have resources but no templates, or the other way round, may say so with this error.
            if error.code == mcp_types.METHOD_NOT_FOUND:
                return entries
            raise
        found = page.get(shelf)
        entries.extend(found if isinstance(found, list) else [])
        size += len(json.dumps(page))
        if len(entries) > ENTRIES_MAX or size > CATALOGUE_BYTES_MAX:
            raise Unavailable(
                f"more than {ENTRIES_MAX} entries or {CATALOGUE_BYTES_MAX} bytes",
                code="upstream.listing",
                port="upstream",
            )
        cursor = page.get("nextCursor")
        if not isinstance(cursor, str):
            return entries
    raise Unavailable(
        f"{shown(method)} has more than {PAGES_MAX} pages", code="upstream.listing", port="upstream"
    )


async def _absorb_tools(session: ClientSession) -> None:
    cursor: str | None = None
    for _ in range(PAGES_MAX):
        page = await session.list_tools(params=mcp_types.PaginatedRequestParams(cursor=cursor))
        cursor = page.next_cursor
        if cursor is None:
            return

"""Read everything that an upstream lists, page by page and within limits."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
import mcp_types
import msgspec
from mcp.shared.exceptions import MCPError

from answerable.adapters.mcp_upstream.asking import ask
from answerable.adapters.mcp_upstream.catalogue import ENTRIES_MAX, LIST_METHODS, Shelf, catalogue_of
from answerable.adapters.mcp_upstream.direct import SessionOnlyError
from answerable.errors import shown
from answerable.errors.codes.action import UPSTREAM_LISTING

if TYPE_CHECKING:
    from mcp.client.session import ClientSession

    from answerable.adapters.mcp_upstream.catalogue import Catalogue
    from answerable.adapters.mcp_upstream.live import Live
    from answerable.core.canonical import JSONValue

PAGES_MAX: Final = 100
CATALOGUE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Limit for all pages of one kind of entries."""

_ENCODER: Final = msgspec.json.Encoder()


async def read_catalogue(live: Live, *, seconds: float) -> Catalogue:
    """Read all lists that the server declares. seconds: limit for each page.

    Raises the exceptions of a request, and Unavailable beyond a limit.
    """
    declared = live.session.server_capabilities or mcp_types.ServerCapabilities()
    offered = {
        "tools/list": declared.tools,
        "prompts/list": declared.prompts,
        "resources/list": declared.resources,
        "resources/templates/list": declared.resources,
    }
    listed: dict[Shelf, list[JSONValue]] = {}
    size = 0
    for method, shelf in LIST_METHODS.items():
        if offered[method] is not None:
            listed[shelf], more = await _all_pages(live, method, shelf, seconds)
            size += more
    wants_fields = b'"x-mcp-header"' in _text(listed.get("tools", []))
    if wants_fields:
        # The session sends the headers that such tools request only after the SDK's own list call.
        await _absorb_tools(live.session)
    # In a thread, which yields to the event loop: thousands of entries take a while.
    sorted_out = partial(catalogue_of, listed, wants_fields=wants_fields, size=size)
    return await anyio.to_thread.run_sync(sorted_out)


async def _all_pages(live: Live, method: str, shelf: Shelf, seconds: float) -> tuple[list[JSONValue], int]:
    """Return every entry, and the total bytes of the pages."""
    entries: list[JSONValue] = []
    cursor: str | None = None
    size = 0
    for _ in range(PAGES_MAX):
        params: dict[str, JSONValue] = {} if cursor is None else {"cursor": cursor}
        try:
            page = await _page(live, method, params, seconds)
        except MCPError as error:
            # A server with resources but without templates, or the reverse, may answer with this error.
            if error.code == mcp_types.METHOD_NOT_FOUND:
                return entries, size
            raise
        found = page.get(shelf)
        entries.extend(found if isinstance(found, list) else [])
        size += len(_text(page))
        if len(entries) > ENTRIES_MAX or size > CATALOGUE_BYTES_MAX:
            raise UPSTREAM_LISTING(
                f"the list has more than {ENTRIES_MAX} entries or {CATALOGUE_BYTES_MAX} bytes"
            )
        cursor = page.get("nextCursor")
        if not isinstance(cursor, str):
            return entries, size
    raise UPSTREAM_LISTING(f"{shown(method)} has more than {PAGES_MAX} pages")


async def _page(live: Live, method: str, params: dict[str, JSONValue], seconds: float) -> dict[str, Any]:
    """Read one page, directly if possible: for thousands of entries the session's models take half a second."""
    if live.direct is not None:
        try:
            return await live.direct.ask(method, params, seconds=seconds)
        except SessionOnlyError:
            live.direct = None
    return await ask(live.session, method, params or None)


def _text(value: object) -> bytes:
    try:
        return _ENCODER.encode(value)
    except (OverflowError, ValueError):
        # A value that only the session's lenient reader accepts.
        return json.dumps(value).encode()


async def _absorb_tools(session: ClientSession) -> None:
    cursor: str | None = None
    for _ in range(PAGES_MAX):
        page = await session.list_tools(params=mcp_types.PaginatedRequestParams(cursor=cursor))
        cursor = page.next_cursor
        if cursor is None:
            return

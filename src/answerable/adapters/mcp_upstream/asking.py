"""Send a request of any method through the SDK's client session; the only place that does so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import mcp_types
from pydantic import TypeAdapter

if TYPE_CHECKING:
    from mcp.client.session import ClientSession

    from answerable.core.canonical import JSONValue
    from answerable.ports.upstream import Progress

_OBJECT: Final[TypeAdapter[dict[str, Any]]] = TypeAdapter(dict[str, Any])


async def ask(
    session: ClientSession,
    method: str,
    params: dict[str, JSONValue] | None,
    *,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Send a request and return its result unchanged.

    Raises MCPError for an error answer or a closed connection, pydantic's ValidationError for a result that violates
    the protocol.
    """
    # The SDK parses results into models, which drop unknown members; a plain adapter preserves them.
    send: Any = session.send_request
    result: dict[str, Any] = await send(
        mcp_types.Request[Any, Any](method=method, params=params), _OBJECT, progress_callback=progress
    )
    return result

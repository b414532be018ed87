"""The one place where a request goes through the SDK's client session, whatever its method."""

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
    """Send any request and return its result as it came.

    Raises MCPError for an error answer or a closed connection, pydantic's ValidationError for a result that is not
    what the protocol says.
    """
    # The SDK types results as models; a plain adapter keeps members that its models do not know.
    send: Any = session.send_request
    result: dict[str, Any] = await send(
        mcp_types.Request[Any, Any](method=method, params=params), _OBJECT, progress_callback=progress
    )
    return result

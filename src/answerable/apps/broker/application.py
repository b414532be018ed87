"""Serve the broker's endpoints as an ASGI application.

Only processes of the users named in the settings are answered, by the uid that the kernel reports for the connection.
The uid only admits a connection: what a call may do is decided by its warrant.
"""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from answerable.apps.broker.control import control_routes
from answerable.apps.broker.tool_server import tool_server
from answerable.core.identity.proof.channel import CHANNEL_EXTENSION, Channel
from answerable.core.lease.wire import BODY_BYTES_MAX, MCP_PATH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp, Receive, Scope, Send

    from answerable.apps.broker.services import BrokerServices

_log: Final = logging.getLogger("answerable.broker")


def broker_app(needs: BrokerServices) -> ASGIApp:
    """Return the ASGI application with every endpoint of the broker."""
    managers = {
        name: StreamableHTTPSessionManager(
            app=tool_server(needs, name),
            stateless=True,
            json_response=False,
            max_request_body_size=BODY_BYTES_MAX,
        )
        for name in needs.desk.targets
    }

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for manager in managers.values():
                await stack.enter_async_context(manager.run())
            yield

    routes = [Route(MCP_PATH + name, endpoint=_McpEndpoint(one)) for name, one in managers.items()]
    app = Starlette(routes=[*control_routes(needs), *routes], lifespan=lifespan)
    return _for_ours(app, needs)


class _McpEndpoint:
    """Serve one target's MCP server at exactly its own path, without a redirect, which would add a round trip to every
    call."""

    def __init__(self, manager: StreamableHTTPSessionManager) -> None:
        self._manager = manager

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._manager.handle_request(scope, receive, send)


def _for_ours(app: ASGIApp, needs: BrokerServices) -> ASGIApp:
    """Refuse every connection of a process whose user is not in `needs.uids`."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            extensions: dict[str, Any] = scope.get("extensions") or {}
            channel = extensions.get(CHANNEL_EXTENSION)
            uid = channel.uid if isinstance(channel, Channel) else None
            if uid not in needs.uids:
                _log.warning("a process of user %s was turned away from the broker", uid)
                await PlainTextResponse("not for this user\n", status_code=403)(scope, receive, send)
                return
        await app(scope, receive, send)

    return guarded

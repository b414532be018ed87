"""The MCP gateway as one ASGI application, with one server per registered upstream, opened on first use."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from answerable.apps.mcp_gateway.front import Front
from answerable.apps.mcp_gateway.services import GatewayLimits
from answerable.apps.mcp_gateway.tally import Tally
from answerable.errors.codes.services import GATEWAY_STOPPED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import TaskGroup
    from starlette.types import Receive, Scope, Send

    from answerable.apps.mcp_gateway.door import Door
    from answerable.apps.mcp_gateway.services import GatewayServices

OPEN_SECONDS_MAX = 5.0


class Gateway:
    """An ASGI application for `/mcp/<server>` and `/session`.

    Served alone, it answers the lifespan protocol itself; inside a larger application, enter `running` there.
    """

    def __init__(self, needs: GatewayServices, limits: GatewayLimits | None = None) -> None:
        self.needs = needs
        self.limits = limits or GatewayLimits()
        self.tally = Tally()
        self._doors: dict[str, tuple[Door, anyio.CancelScope]] = {}
        self._tasks: TaskGroup | None = None
        self._front = Front(needs, self.limits, self.tally, door=self._door)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve inside the block. Leaving it cancels running requests; recorded intents still get their outcomes."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                yield
            finally:
                self._tasks = None
                self._doors.clear()
                tasks.cancel_scope.cancel()

    async def _door(self, server: str) -> Door | None:
        """Return the Door of a registered server. Raises Unavailable (`gateway.stopped`)."""
        if not self.needs.offers.serves(server):
            if server in self._doors:
                self._doors.pop(server)[1].cancel()
            return None
        if self._tasks is None:
            raise GATEWAY_STOPPED("the gateway is not running")
        if server not in self._doors:
            # In a thread: what serves MCP is imported with the first server.
            kind = await anyio.to_thread.run_sync(_door_kind)
            if server not in self._doors and self._tasks is not None:
                scope = anyio.CancelScope()
                self._doors[server] = (kind(server, self.needs, self.limits, self.tally), scope)
                self._tasks.start_soon(_run_in, scope, self._doors[server][0])
        if server not in self._doors:
            raise GATEWAY_STOPPED("the gateway is not running")
        door = self._doors[server][0]
        if not door.open.is_set():
            with anyio.move_on_after(OPEN_SECONDS_MAX):
                await door.open.wait()
            if not door.open.is_set():
                raise GATEWAY_STOPPED("the server's endpoint did not start in time")
        return door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI 3 connection. Our front takes no WebSocket."""
        if scope["type"] == "http":
            await self._front.serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await receive()
            async with self.running():
                await send({"type": "lifespan.startup.complete"})
                await receive()
            await send({"type": "lifespan.shutdown.complete"})


def _door_kind() -> type[Door]:
    from answerable.apps.mcp_gateway.door import Door

    return Door


async def _run_in(scope: anyio.CancelScope, door: Door) -> None:
    with scope:
        await door.run()

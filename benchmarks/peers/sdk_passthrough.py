"""The floor: the gateway's SDK calls without the gateway. One server, one middleware, one upstream session.

`sdk_passthrough.py URL`, or `sdk_passthrough.py stdio`; prints its port when it listens. It checks nothing, records
nothing and supervises nothing.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import mcp_types
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel import Server
from peer_server import serve
from pydantic import TypeAdapter
from upstream_argument import ECHO

OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


@asynccontextmanager
async def connected(_: Server[Client]) -> AsyncIterator[Client]:
    """One session to the upstream for as long as the server lives."""
    target = StdioServerParameters(command=ECHO[0], args=ECHO[1:]) if sys.argv[1] == "stdio" else sys.argv[1]
    async with Client(target, mode="2026-07-28", cache=None) as client:
        yield client


async def pass_on(ctx: ServerRequestContext[Client, Any], call_next: CallNext) -> HandlerResult:
    """Send the request on as it came, with the names of the SDK's own taken out of `_meta`."""
    if ctx.method != "tools/call":
        return await call_next(ctx)
    params: dict[str, Any] = dict(ctx.params or {})
    meta = params.get("_meta") or {}
    params["_meta"] = {
        name: value for name, value in meta.items() if not name.startswith("io.modelcontextprotocol/")
    }
    send: Any = ctx.lifespan_context.session.send_request
    request = mcp_types.Request[Any, Any](method=ctx.method, params=params)
    result: dict[str, Any] = await send(request, OBJECT, request_read_timeout_seconds=30)
    return result


server: Server[Client] = Server("passthrough", lifespan=connected, get_tool_input_schema=lambda _: None)
server.middleware[:] = [pass_on]

if __name__ == "__main__":
    serve(server.streamable_http_app(json_response=True))

"""The upstream of the gateway benchmark: one small tool, on the barest server that the SDK has.

`echo_upstream.py stdio`, or `echo_upstream.py http`, which prints its port when it listens. With the SDK's usual server
it took a whole core long before a gateway did, and then the benchmark measured nothing but the upstream.
"""

from __future__ import annotations

import sys
from typing import Any

import mcp_types
import uvloop
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from peer_server import serve

TOOL = mcp_types.Tool(
    name="customer_read",
    description="Read a customer of a case.",
    input_schema={
        "type": "object",
        "properties": {
            "case_id": {"type": "string"},
            "fields": {"type": "array", "items": {"type": "string"}},
            "limit": {"type": "integer"},
        },
        "required": ["case_id", "fields", "limit"],
    },
    annotations=mcp_types.ToolAnnotations(read_only_hint=True, open_world_hint=False),
)


async def list_tools(
    _: ServerRequestContext[Any, Any], __: mcp_types.PaginatedRequestParams | None
) -> mcp_types.ListToolsResult:
    """The one tool."""
    return mcp_types.ListToolsResult(tools=[TOOL], ttl_ms=0, cache_scope="private")


async def call_tool(
    _: ServerRequestContext[Any, Any], params: mcp_types.CallToolRequestParams
) -> mcp_types.CallToolResult:
    """What was asked for, as text."""
    arguments = params.arguments or {}
    text = f"{arguments['case_id']}: {', '.join(arguments['fields'][: arguments['limit']])}"
    return mcp_types.CallToolResult(content=[mcp_types.TextContent(type="text", text=text)])


server: Server[Any] = Server("crm", on_list_tools=list_tools, on_call_tool=call_tool)


async def over_stdio() -> None:
    """Serve until standard input ends."""
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        uvloop.run(over_stdio())
    else:
        serve(server.streamable_http_app(json_response=True))

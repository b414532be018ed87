"""An MCP server over stdio, of both eras, whose resources change when they are touched. It takes no arguments. With the
variable QUIET in its environment it does not announce changes.

Touching `describe:TEXT` has the tool `touch` describe itself so from then on. `silently:TEXT` does so, too, but ends
all streams first and announces nothing; so does the text of the variable AT_LISTEN when the first stream is asked for.
A stream is not confirmed before the file of the variable CONFIRM_AFTER exists. With AT_NEXT_LISTEN it announces other
resources right before the second stream begins.
"""

import os
from typing import Any

import anyio
import mcp_types as types
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    ResourcesListChanged,
    ResourceUpdated,
    ToolsListChanged,
)

bus = InMemorySubscriptionBus()
followed: dict[str, Any] = {}
names = ["touch", "grow"]
described: dict[str, str] = {}
listened_to: list[int] = []


async def announce(ctx: Any) -> None:
    if "QUIET" not in os.environ:
        await bus.publish(ToolsListChanged())
        await ctx.session.send_tool_list_changed()


async def list_tools(ctx: Any, params: Any) -> types.ListToolsResult:
    schema = {"type": "object", "properties": {"uri": {"type": "string"}}}
    tools = [
        types.Tool(name=name, description=described.get(name) or None, input_schema=schema) for name in names
    ]
    return types.ListToolsResult(tools=tools)


async def call_tool(ctx: Any, params: Any) -> types.CallToolResult:
    if params.name == "touch":
        uri = params.arguments["uri"]
        if uri.startswith("describe:"):
            described["touch"] = uri.removeprefix("describe:")
            await announce(ctx)
        if uri.startswith("silently:"):
            streams.close()
            described["touch"] = uri.removeprefix("silently:")
        await bus.publish(ResourceUpdated(uri=uri))
        if uri in followed:
            await followed[uri].send_resource_updated(uri)
    else:
        names.append("grown")
        await announce(ctx)
    return types.CallToolResult(content=[types.TextContent(type="text", text=" ".join(sorted(followed)))])


async def list_resources(ctx: Any, params: Any) -> types.ListResourcesResult:
    listed = [types.Resource(name=uri, uri=uri) for uri in ("thing://a", "other://a")]
    return types.ListResourcesResult(resources=listed)


async def read_resource(ctx: Any, params: Any) -> types.ReadResourceResult:
    return types.ReadResourceResult(contents=[types.TextResourceContents(uri=params.uri, text="here")])


async def subscribe(ctx: Any, params: Any) -> types.EmptyResult:
    if str(params.uri).endswith("forbidden"):
        raise ValueError("no")
    followed[str(params.uri)] = ctx.session
    return types.EmptyResult()


async def unsubscribe(ctx: Any, params: Any) -> types.EmptyResult:
    followed.pop(str(params.uri), None)
    return types.EmptyResult()


async def listened(ctx: Any, params: Any) -> Any:
    if place := os.environ.get("CONFIRM_AFTER"):
        for _ in range(3_000):
            if await anyio.Path(place).exists():
                break
            await anyio.sleep(0.02)
    listened_to.append(1)
    if "AT_NEXT_LISTEN" in os.environ and len(listened_to) == 2:
        await bus.publish(ResourcesListChanged())
    if text := os.environ.pop("AT_LISTEN", ""):
        described["touch"] = text
    return await streams(ctx, params)


streams = ListenHandler(bus)
server: Server[Any] = Server(
    "noticing",
    on_list_tools=list_tools,
    on_call_tool=call_tool,
    on_list_resources=list_resources,
    on_read_resource=read_resource,
    on_subscribe_resource=subscribe,
    on_unsubscribe_resource=unsubscribe,
    on_subscriptions_listen=listened,
)


async def main() -> None:
    options = server.create_initialization_options(
        NotificationOptions(tools_changed="QUIET" not in os.environ, resources_changed=True)
    )
    async with stdio_server() as (read, write):
        await server.run(read, write, options)


anyio.run(main)

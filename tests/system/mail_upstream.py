"""A mailbox as an MCP server over stdio, which writes down what it is told as it is told it: `began TOOL WHICH`.

It deletes what it is told to. A purge takes as long as there is no file `go` beside the book that it keeps, and goes on
when it is told to cancel, as many real systems do. Run it with the path of the book.
"""

import sys
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

BOOK = Path(sys.argv[1])
TOOLS = ("mail_delete", "mail_purge", "mail_empty")


def write(line: str) -> None:
    with BOOK.open("a") as book:
        book.write(line + "\n")


async def list_tools(ctx: Any, params: Any) -> types.ListToolsResult:
    schema = {"type": "object", "properties": {"which": {"type": "string"}}, "required": ["which"]}
    return types.ListToolsResult(tools=[types.Tool(name=name, input_schema=schema) for name in TOOLS])


async def call_tool(ctx: Any, params: Any) -> types.CallToolResult:
    which = params.arguments["which"]
    write(f"began {params.name} {which}")
    if params.name == "mail_purge":
        while not (BOOK.parent / "go").exists():  # noqa: ASYNC110 - a file has no event
            await anyio.sleep(0.05)
    write(f"ended {params.name} {which}")
    return types.CallToolResult(content=[types.TextContent(type="text", text="gone")])


async def list_resources(ctx: Any, params: Any) -> types.ListResourcesResult:
    return types.ListResourcesResult(resources=[types.Resource(uri="mail://box", name="box")])


async def read_resource(ctx: Any, params: Any) -> types.ReadResourceResult:
    write("began resource box")
    return types.ReadResourceResult(contents=[types.TextResourceContents(uri=params.uri, text="mail")])


async def list_prompts(ctx: Any, params: Any) -> types.ListPromptsResult:
    return types.ListPromptsResult(prompts=[types.Prompt(name="tidy")])


async def get_prompt(ctx: Any, params: Any) -> types.GetPromptResult:
    write("began prompt tidy")
    text = types.TextContent(type="text", text="Tidy up.")
    return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=text)])


async def main() -> None:
    server: Server[Any] = Server(
        "mail",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_read_resource=read_resource,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
    )
    async with stdio_server() as (read, write_stream):
        await server.run(read, write_stream, server.create_initialization_options())


anyio.run(main)

"""The scripted agent: a plain MCP client, no language model. It speaks to `answerable mcp shim` over stdio, which holds
the agent's key; the client here never sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

from mcp import MCPError, StdioServerParameters
from mcp.client.client import Client
from mcp.client.stdio import stdio_client
from mcp_types import RequestParamsMeta, TextContent
from narrator import Narrator
from product import Product, environment, program

CALL_SECONDS_MAX: Final = 30.0
REASON: Final = "answerable/reason"
"""Where a client may say why it asks; the gateway records it as a claim."""

Kind = Literal["allowed", "denied", "waiting", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the agent got for one call. fields: the structured part, such as the id of an approval."""

    kind: Kind
    text: str
    fields: dict[str, Any]

    @property
    def approval(self) -> str:
        """The id of the approval that is waited for, empty when none is."""
        return str(self.fields.get("approvalId", "")) if self.kind == "waiting" else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One agent's client to one server behind the gateway, under one mandate or what was handed on of it."""

    name: str
    server: str
    client: Client
    narrator: Narrator
    shown_as: str = "agent"

    async def tools(self) -> list[str]:
        """The names of the tools that the agent is shown."""
        self.narrator.asks(self.server, "tools/list", who=self.shown_as)
        names = [tool.name for tool in (await self.client.list_tools()).tools]
        self.narrator.answer("allowed", ", ".join(names) or "nothing")
        return names

    async def call(self, tool: str, arguments: dict[str, object], *, reason: str, show: bool = True) -> Reply:
        """Call a tool and tell what came of it. show: false leaves an allowed answer for the story to tell."""
        self.narrator.asks(self.server, tool, arguments, who=self.shown_as)
        reply = await self.quiet_call(tool, arguments, reason=reason)
        if show or reply.kind != "allowed":
            self.narrator.answer(reply.kind, shortly(reply.text))
        return reply

    async def quiet_call(self, tool: str, arguments: dict[str, object], *, reason: str) -> Reply:
        """Call a tool and tell nothing: for several agents at a time, of whom the story tells afterwards."""
        try:
            result = await self.client.call_tool(
                tool, arguments, meta=cast("RequestParamsMeta", {REASON: reason})
            )
        except MCPError as error:
            return Reply(kind="failed", text=error.message, fields={})
        text = "\n".join(block.text for block in result.content if isinstance(block, TextContent))
        fields = result.structured_content if isinstance(result.structured_content, dict) else {}
        return Reply(kind=kind_of(fields, is_error=bool(result.is_error)), text=text, fields=fields)


def shortly(text: str) -> str:
    """The gateway's words without what the narrator says anyway, and without its advice to the agent."""
    text = text.removeprefix("refused: ").removeprefix("waiting for ")
    return text.partition(". Make exactly the same call")[0]


def kind_of(fields: dict[str, Any], *, is_error: bool) -> Kind:
    """What the gateway says by the structured part of an error result; without one it is the server's own error."""
    if not is_error:
        return "allowed"
    if fields.get("state") == "refused":
        return "denied"
    return "waiting" if "approvalId" in fields else "failed"


@asynccontextmanager
async def agent(
    product: Product, name: str, server: str, mandate: str, *, delegation: Path | None = None
) -> AsyncIterator[Agent]:
    """Connect one agent to one server, through a shim of its own that is given the agent's key and the mandate's id.

    delegation: a file with what was handed on to the agent, which it acts under then.
    """
    home = product.home
    command, *arguments = program(
        *("mcp", "shim", "--server", server, "--gateway", f"unix:{home.path / 'gateway.sock'}"),
        *("--key", str(home.key(name))),
        *(("--mandate", mandate) if delegation is None else ("--delegation", str(delegation))),
    )
    shim = StdioServerParameters(command=command, args=arguments, env=environment(home))
    with (home.path / "shim.log").open("a", encoding="utf-8") as log:
        async with Client(
            stdio_client(shim, errlog=log), mode="auto", cache=None, read_timeout_seconds=CALL_SECONDS_MAX
        ) as client:
            yield Agent(
                name=name,
                server=server,
                client=client,
                narrator=product.narrator,
                # Where several work on one task, who asks is the story.
                shown_as="agent" if delegation is None else name,
            )

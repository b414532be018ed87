"""An MCP server over HTTP, made with the SDK, of both eras, with calls that last. It notes what it hears of their end.

Run in the event loop of the test. The tool `slow` lasts as long as the test; `deaf` does, too, and does not stop when
it is told to.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.streamable_http import EventStore

from answerable.adapters.uvicorn_front import Listeners, serve

TOOLS = ("slow", "deaf", "quick")


@dataclass
class Waiting:
    """began: names of calls. stopped: of those whose work was ended by the client. told: `notifications/cancelled`
    that arrived, by the request they name. gone: ids of requests whose HTTP exchange the client closed unanswered.
    resumed: how often it asked for the rest of a stream.
    """

    url: str = ""
    began: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    told: list[Any] = field(default_factory=list)
    gone: list[Any] = field(default_factory=list)
    resumed: int = 0
    over: anyio.Event = field(default_factory=anyio.Event)

    async def list_tools(self, ctx: Any, params: Any) -> types.ListToolsResult:
        tools = [types.Tool(name=name, input_schema={"type": "object"}) for name in TOOLS]
        return types.ListToolsResult(tools=tools)

    async def call_tool(self, ctx: Any, params: Any) -> types.CallToolResult:
        self.began.append(params.name)
        try:
            with anyio.CancelScope(shield=params.name == "deaf"):
                if params.name != "quick":
                    await self.over.wait()
        except anyio.get_cancelled_exc_class():
            self.stopped.append(params.name)
            raise
        return types.CallToolResult(content=[types.TextContent(type="text", text="done")])

    def noted(self, app: Any) -> Any:
        """The application, with a look at what arrives and at how each exchange ends."""

        async def noting(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http" and b"last-event-id" in dict(scope["headers"]):
                self.resumed += 1
            if scope["type"] != "http" or scope["method"] != "POST":
                await app(scope, receive, send)
                return
            body, left, answered = b"", anyio.Event(), False
            while (message := await receive())["type"] == "http.request":
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    break
            request = json.loads(body)
            if request["method"] == "notifications/cancelled":
                self.told.append(request["params"]["requestId"])
            pending = [{"type": "http.request", "body": body, "more_body": False}]

            async def watch() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                if request["method"] == "tools/call" and not answered:
                    self.gone.append(request["id"])
                left.set()

            async def hears() -> Any:
                if pending:
                    return pending.pop()
                await left.wait()
                return {"type": "http.disconnect"}

            async def says(message: Any) -> None:
                nonlocal answered
                last = message["type"] == "http.response.body" and not message.get("more_body", False)
                answered = answered or last
                await send(message)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watch)
                await app(scope, hears, says)
                tasks.cancel_scope.cancel()

        return noting


class Kept(EventStore):
    """Events by number, from the first one on."""

    def __init__(self) -> None:
        self.count = 0

    async def store_event(self, stream_id: str, message: Any) -> str:
        self.count += 1
        return str(self.count)

    async def replay_events_after(self, last_event_id: str, send_callback: Any) -> str | None:
        return None


@asynccontextmanager
async def waiting_http(*, json_response: bool = False, resumable: bool = False) -> AsyncIterator[Waiting]:
    """Serve it. json_response: answers of sessions come as JSON, and no byte before their end. resumable: streams of
    sessions begin with an event by which the client can ask for the rest of them."""
    started, stop, bound = anyio.Event(), anyio.Event(), list[Listeners]()
    peer = Waiting()
    server: Server[Any] = Server("waiting", on_list_tools=peer.list_tools, on_call_tool=peer.call_tool)
    app = peer.noted(
        server.streamable_http_app(json_response=json_response, event_store=Kept() if resumable else None)
    )

    def note(listeners: Listeners) -> None:
        bound.append(listeners)
        started.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: serve(app, tcp=("127.0.0.1", 0), started=note, stop=stop))
        await started.wait()
        assert bound[0].tcp_address is not None
        peer.url = f"http://127.0.0.1:{bound[0].tcp_address[1]}/mcp"
        yield peer
        peer.over.set()
        stop.set()
        tasks.cancel_scope.cancel()

"""Plain requests to a real HTTP server go around the SDK's session, and through it where that cannot be."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from answerable.adapters.mcp_upstream.upstream import McpUpstream
from answerable.adapters.system import SystemClock
from answerable.adapters.uvicorn_front import Listeners, serve
from answerable.core.action.outcome import Outcome
from answerable.core.registry.documents.documents import Server
from tests.system.test_mcp_upstream import warrant

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("GATE-16")]
PLAIN = {"type": "object"}
FIELDS = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}


@dataclass(slots=True)
class Peer:
    """A modern server. requests: path, id and fields of every tool call. ended: tasks it was told to cancel, with the
    name in the header; it does if it `cancels`."""

    schema: dict[str, Any] = field(default_factory=lambda: PLAIN)
    cancels: bool = True
    ended: list[tuple[str, str]] = field(default_factory=list)
    requests: list[tuple[str, Any, dict[str, str]]] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        request = json.loads((await receive())["body"])
        method, name = request["method"], request["params"].get("name")
        common: dict[str, Any] = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
        result: dict[str, Any] = {"content": [{"type": "text", "text": "done"}], "resultType": "complete"}
        if method == "server/discover":
            result = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, **common}
        elif method == "tools/list":
            tools = [
                {"name": tool, "inputSchema": self.schema} for tool in ("json", "events", "moved", "task")
            ]
            result = {"tools": tools, **common}
        else:
            fields = {key.decode(): value.decode() for key, value in scope["headers"]}
            self.requests.append((scope["path"], request["id"], fields))
        said: dict[str, Any] = {"result": result}
        if name == "task":
            said["result"] = {"resultType": "task", "taskId": "t-1", "status": "working"}
        elif method == "tasks/cancel":
            self.requests.pop()
            self.ended.append((request["params"]["taskId"], fields["mcp-name"]))
            if not self.cancels:
                said = {"error": {"code": -32602, "message": "it goes on"}}
        answer = json.dumps({"jsonrpc": "2.0", "id": request["id"], **said}).encode()
        status, headers, body = 200, [(b"content-type", b"application/json")], answer
        if name == "moved" and scope["path"] == "/mcp":
            status, headers, body = 307, [(b"location", b"/there")], b""
        elif name == "events":
            note = {
                "jsonrpc": "2.0",
                "method": "notifications/message",
                "params": {"level": "info", "data": 1},
            }
            headers = [(b"content-type", b"text/event-stream")]
            body = b": ping\n\ndata: %b\n\nevent: message\ndata: %b\n\n" % (json.dumps(note).encode(), answer)
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def upstream_of(peer: Any) -> AsyncIterator[McpUpstream]:
    started, stop, bound = anyio.Event(), anyio.Event(), list[Listeners]()

    def note(listeners: Listeners) -> None:
        bound.append(listeners)
        started.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: serve(peer, tcp=("127.0.0.1", 0), started=note, stop=stop))
        await started.wait()
        assert bound[0].tcp_address is not None
        upstream = McpUpstream(clock=SystemClock())
        upstream.apply([Server(name="bad", url=f"http://127.0.0.1:{bound[0].tcp_address[1]}/mcp")])
        await tasks.start(upstream.run)
        assert await upstream.ready(seconds_max=10) == ()
        yield upstream
        stop.set()
        tasks.cancel_scope.cancel()


def succeeded(outcome: Outcome) -> bool:
    return outcome.status == "succeeded" and (outcome.result or {}).get("content") == [
        {"type": "text", "text": "done"}
    ]


@pytest.mark.parametrize("tool", ["json", "events"])
async def test_one_call_is_one_request_in_the_words_of_the_revision(tool):
    peer = Peer()
    async with upstream_of(peer) as upstream:
        assert succeeded(await upstream.perform(warrant(tool)))
        assert succeeded(await upstream.perform(warrant(tool)))
    (_, first, fields), (_, second, _) = peer.requests
    assert second == first + 1
    assert (fields["mcp-protocol-version"], fields["mcp-method"], fields["mcp-name"]) == (
        "2026-07-28",
        "tools/call",
        tool,
    )
    assert fields["accept-encoding"] == "identity"


async def test_a_server_that_has_moved_is_asked_through_the_session_and_acts_once():
    peer = Peer()
    async with upstream_of(peer) as upstream:
        assert succeeded(await upstream.perform(warrant("moved")))
    assert [path for path, _, _ in peer.requests] == ["/mcp", "/mcp", "/there"]


async def test_a_tool_that_wants_fields_of_the_request_gets_them():
    peer = Peer(schema=FIELDS)
    async with upstream_of(peer) as upstream:
        assert succeeded(await upstream.perform(warrant("json", {"region": "eu"})))
    assert peer.requests[0][2]["mcp-param-region"] == "eu"


@pytest.mark.requirement("HOLD-17")
@pytest.mark.parametrize("progress", [False, True], ids=["alone", "with progress"])
@pytest.mark.parametrize(
    ("cancels", "words"),
    [(True, "took the word that it is cancelled"), (False, "refused to cancel it: error -32602")],
)
async def test_a_task_that_nobody_asked_for_is_cancelled_and_what_the_server_says_is_the_outcome(
    cancels, words, progress
):
    async def heard(*_: object) -> None:
        return

    peer = Peer(cancels=cancels)
    async with upstream_of(peer) as upstream:
        outcome = await upstream.perform(warrant("task"), progress=heard if progress else None)
    assert outcome.status == "indeterminate"
    assert words in outcome.detail
    assert peer.ended == [("t-1", "t-1")]

"""An MCP server over HTTP that behaves as badly as the called tool is named. Run in the event loop of the test."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from answerable.adapters.uvicorn_front import Listeners, serve

ANNOTATED = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}
NAMES = ["echo", "html", "http_500", "http_403", "accepted", "cut", "huge", "half", "hang", "json_garbage"]


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    request = json.loads(body or b"{}")
    method, name = request.get("method"), request.get("params", {}).get("name")
    if method == "server/discover":
        result: dict[str, Any] = {
            "supportedVersions": ["2026-07-28"],
            "capabilities": {"tools": {}},
            "resultType": "complete",
            "ttlMs": 0,
            "cacheScope": "private",
        }
    elif method == "tools/list":
        # Two pages.
        first = [{"name": name, "inputSchema": {"type": "object"}} for name in NAMES]
        second = [{"name": "annotated", "inputSchema": ANNOTATED}]
        more = request["params"].get("cursor") is None
        result = {
            "tools": first if more else second,
            "resultType": "complete",
            "ttlMs": 0,
            "cacheScope": "private",
        }
        if more:
            result["nextCursor"] = "second"
    elif name == "annotated":
        region = dict(scope["headers"]).get(b"mcp-param-region", b"none").decode()
        result = {"content": [{"type": "text", "text": region}], "resultType": "complete"}
    elif name == "echo":
        result = {"content": [], "resultType": "complete"}
    else:
        await misbehave(name, receive, send)
        return
    await respond(
        send, 200, json.dumps({"jsonrpc": "2.0", "id": request.get("id"), "result": result}).encode()
    )


async def misbehave(name: str | None, receive: Any, send: Any) -> None:
    match name:
        case "html":
            await respond(send, 200, b"<html>", b"text/html")
        case "http_500":
            await respond(send, 500, b"oops", b"text/plain")
        case "http_403":
            await respond(send, 403, b"no", b"text/plain")
        case "accepted":
            await respond(send, 202, b"")
        case "json_garbage":
            await respond(send, 200, b'{"jsonrpc": "2.0", "id')
        case "huge":
            await respond(send, 200, b" " * 9_000_000)
        case "half":
            headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b'{"jsonrpc"', "more_body": True})
            raise ConnectionResetError
        case "hang":
            while (await receive())["type"] != "http.disconnect":
                pass
        case _:
            raise ConnectionResetError


async def respond(send: Any, status: int, body: bytes, kind: bytes = b"application/json") -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def hostile_http(port: int = 0) -> AsyncIterator[str]:
    """Serve it; yields its URL."""
    started, stop, bound = anyio.Event(), anyio.Event(), list[Listeners]()

    def note(listeners: Listeners) -> None:
        bound.append(listeners)
        started.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: serve(app, tcp=("127.0.0.1", port), started=note, stop=stop))
        await started.wait()
        assert bound[0].tcp_address is not None
        yield f"http://127.0.0.1:{bound[0].tcp_address[1]}/mcp"
        stop.set()
        tasks.cancel_scope.cancel()

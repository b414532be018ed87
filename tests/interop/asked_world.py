"""A gateway whose every action people are asked about, in front of a server with the conformance suite's tools.

The suite has neither an identity nor a browser. A small proxy stands for the client that has both: it proves to the
gateway which agent calls, and says that it opens addresses where the suite says that it can ask a person. It changes
nothing else.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from answerable.adapters.uvicorn_front import Listeners, serve
from answerable.apps.mcp_gateway.services import GatewayLimits
from answerable.core.canonical import JSONValue
from answerable.testing.samples import document
from tests.interop.asked_upstream import PROMPT, TOOLS
from tests.worlds.gateway import World, capability, gateway_world
from tests.worlds.gateway_answers import approve

PAGE = "http://localhost:8700"
UPSTREAM = Path(__file__).parent / "asked_upstream.py"
META = "io.modelcontextprotocol/clientCapabilities"
PASSED_ON = ("accept", "content-type", "mcp-")
ASK = """@id("people-first") @reason("people see everything first") @approve("approvers:1")
    forbid(principal, action, resource);"""
# Nobody may be there to answer: what the client hears then is what is asked about, not how long it waits.
AT_ONCE = GatewayLimits(approval_wait_seconds=0.2)


def asked_documents() -> list[JSONValue]:
    """The server, its capabilities, and the rule that asks."""
    fixed: dict[str, JSONValue] = {"type": "Suite", "fixed": "it"}
    return [
        document("Server", "asked", {"command": sys.executable, "args": [str(UPSTREAM)]}),
        document("PolicySet", "asking", {"policies": ASK}),
        *(capability(f"asked.{name}", "asked", "tools/call", name, fixed) for name in TOOLS),
        capability("asked.prompt", "asked", "prompts/get", PROMPT, fixed),
    ]


@asynccontextmanager
async def asked_world(home: Path, *, answers: bool) -> AsyncIterator[tuple[World, str]]:
    """The world, and the address for the suite. answers: whether a person says yes as soon as something waits."""
    async with gateway_world(home, page=PAGE, more=asked_documents(), limits=AT_ONCE) as world:
        world.mandate(*(f"asked.{name}" for name in TOOLS), "asked.prompt")
        started, stop = anyio.Event(), anyio.Event()
        bound: list[Listeners] = []

        def note(listeners: Listeners) -> None:
            bound.append(listeners)
            started.set()

        async def handed_on(request: Request) -> Response:
            return await _handed_on(world, request)

        app = Starlette(routes=[Route("/mcp", handed_on, methods=["POST", "GET", "DELETE"])])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: serve(app, tcp=("127.0.0.1", 0), uds=None, started=note, stop=stop))
            if answers:
                tasks.start_soon(_person, world)
            await started.wait()
            address = bound[0].tcp_address
            assert address is not None
            yield world, f"http://127.0.0.1:{address[1]}/mcp"
            stop.set()
            tasks.cancel_scope.cancel()


async def _person(world: World) -> None:
    while True:
        for waiting in world.walk.authority.approvals.all(pending_only=True, now=world.walk.clock.now()):
            approve(world, waiting.id)
        await anyio.sleep(0.02)


async def _handed_on(world: World, request: Request) -> Response:
    if request.method == "GET":
        return Response(status_code=405)
    headers = {name: value for name, value in request.headers.items() if name.startswith(PASSED_ON)}
    body = _opening(await request.body())
    async with world.http(mandate="m-1") as http:
        answer = await http.request(request.method, f"{world.url}/mcp/asked", content=body, headers=headers)
    kept = {
        name: value for name, value in answer.headers.items() if name.startswith(("content-type", "mcp-"))
    }
    return Response(answer.content, status_code=answer.status_code, headers=kept)


def _opening(body: bytes) -> bytes:
    """A client that asks people in a form opens addresses for them as well."""
    try:
        message = json.loads(body)
    except ValueError:
        return body
    params: dict[str, Any] = message.get("params") or {} if isinstance(message, dict) else {}
    meta = params.get("_meta") or {}
    for declared in (params.get("capabilities"), meta.get(META)):
        if isinstance(declared, dict) and "elicitation" in declared:
            declared["elicitation"] = {"form": {}, "url": {}}
            return json.dumps(message).encode()
    return body

"""A hostile MCP server floods: with answers without an end, with what nobody asked for, with lists."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from answerable.adapters.mcp_upstream import http_transport, stdio_transport
from answerable.adapters.mcp_upstream.catalogue import catalogue_of
from answerable.adapters.mcp_upstream.unasked import UNASKED_PER_SECOND, UnaskedPace
from answerable.core.registry.documents.documents import Server
from tests.system.test_direct_http import upstream_of
from tests.system.test_mcp_upstream import ready, warrant
from tests.worlds.gateway import until

pytestmark = pytest.mark.anyio

GIGABYTE = 1 << 30
CHUNK = 1 << 16
NOTE = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x" * 900}}
FLOODS = {
    "json": (b"application/json", b" " * CHUNK),
    "one event": (b"text/event-stream", b"x" * CHUNK),
    "comments": (b"text/event-stream", (b":" + b"x" * 1022 + b"\n") * 64),
    "notifications": (b"text/event-stream", b"data: %b\n\n" % json.dumps(NOTE).encode() * 60),
}


class Flood:
    """A modern server whose tools answer with a gigabyte. sent: bytes of it that were taken from it."""

    def __init__(self) -> None:
        self.sent = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        request = json.loads((await receive())["body"])
        common: dict[str, Any] = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
        if request["method"] == "tools/call":
            await self.flood(request["params"]["name"], receive, send)
            return
        result: dict[str, Any] = {
            "supportedVersions": ["2026-07-28"],
            "capabilities": {"tools": {}},
            **common,
        }
        if request["method"] == "tools/list":
            result = {
                "tools": [{"name": name, "inputSchema": {"type": "object"}} for name in FLOODS],
                **common,
            }
        body = json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}).encode()
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))],
            }
        )
        await send({"type": "http.response.body", "body": body})

    async def flood(self, name: str, receive: Any, send: Any) -> None:
        kind, chunk = FLOODS[name]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        gone = anyio.Event()

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            gone.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            if name == "one event":
                await send({"type": "http.response.body", "body": b"data: ", "more_body": True})
            while self.sent < GIGABYTE and not gone.is_set():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                # To a client that has left, it returns at once: only another turn tells that nobody takes it.
                await anyio.lowlevel.checkpoint()
                self.sent += len(chunk)
            tasks.cancel_scope.cancel()


@pytest.mark.requirement("NEIGHBOUR-13")
@pytest.mark.parametrize("name", FLOODS)
async def test_an_answer_over_http_has_the_bound_that_one_over_stdio_has(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_no_time = UnaskedPace(now=lambda: 0.0, sleep=lambda _: anyio.lowlevel.checkpoint())
    monkeypatch.setattr(http_transport, "UnaskedPace", lambda: in_no_time)
    peer = Flood()
    async with upstream_of(peer) as upstream:
        outcome = await upstream.perform(warrant(name))
    assert outcome.status == "indeterminate"
    assert outcome.detail == "the answer is longer than 6291456 bytes", "as a server over stdio is told"
    assert peer.sent < 32 << 20, "and no more of it is read"


ASKING = """
import json, sys
def send(message):
    sys.stdout.write(json.dumps(message) + chr(10))
said = {"initialize": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {"listChanged": True}},
                       "serverInfo": {"name": "asking", "version": "1"}},
        "tools/list": {"tools": [{"name": f"tool_{number}", "inputSchema": {}} for number in range(int(sys.argv[2]))]},
        "tools/call": {"content": []}}
answers = 0
for line in sys.stdin:
    message = json.loads(line)
    method = message.get("method")
    if method in said:
        send({"jsonrpc": "2.0", "id": message["id"], "result": said[method]})
    elif method and "id" in message:
        send({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "not here"}})
    if method == "tools/list":
        for number in range(int(sys.argv[3])):
            send({"jsonrpc": "2.0", "id": f"own-{number}", **ASKED[number % 3]})
    answers += str(message.get("id")).startswith("own-")
    sys.stdout.flush()
    open(sys.argv[1], "w").write(str(answers))
""".replace(
    "ASKED",
    repr(
        [
            {"method": "ping"},
            {
                "method": "sampling/createMessage",
                "params": {
                    "messages": [{"role": "user", "content": {"type": "text", "text": "?"}}],
                    "maxTokens": 1,
                },
            },
            {
                "method": "elicitation/create",
                "params": {"message": "?", "requestedSchema": {"type": "object", "properties": {}}},
            },
        ]
    ),
)


class Counted(UnaskedPace):
    """With a clock that stands, and nobody who waits gets on before `going`."""

    def __init__(self) -> None:
        self.taken, self.full, self.going = 0, anyio.Event(), anyio.Event()
        super().__init__(now=lambda: 0.0, sleep=self.held)

    async def take(self, messages: float, size: int) -> None:
        self.taken += 1
        await super().take(messages, size)

    async def held(self, _: float) -> None:
        self.full.set()
        await self.going.wait()


@pytest.mark.requirement("NEIGHBOUR-14")
async def test_a_server_that_asks_without_an_end_waits_in_its_own_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pace = Counted()
    monkeypatch.setattr(stdio_transport, "UnaskedPace", lambda: pace)
    (tmp_path / "asking.py").write_text(ASKING)
    answers = tmp_path / "answers"
    command = (str(tmp_path / "asking.py"), str(answers), "3", "1000")
    async with ready(
        Server(name="bad", command=sys.executable, args=command, call_seconds_max=20)
    ) as upstream:
        await pace.full.wait()
        assert UNASKED_PER_SECOND <= pace.taken <= UNASKED_PER_SECOND + 1, "the next one is not read"
        pace.going.set()
        assert (await upstream.perform(warrant("tool_1"))).status == "succeeded"
        await until(lambda: answers.read_text() == "1000")


@pytest.mark.requirement("NEIGHBOUR-14")
@pytest.mark.parametrize("name", ["comments", "notifications"])
async def test_a_stream_of_events_is_read_no_faster_than_what_nobody_asked_for(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pace = Counted()
    monkeypatch.setattr(http_transport, "UnaskedPace", lambda: pace)
    peer = Flood()
    async with upstream_of(peer) as upstream, anyio.create_task_group() as tasks:
        tasks.start_soon(upstream.perform, warrant(name))
        await pace.full.wait()
        assert peer.sent < 16 << 20
        tasks.cancel_scope.cancel()


@pytest.mark.requirement("NEIGHBOUR-15")
def test_a_long_list_is_not_read_again_at_once() -> None:
    tools: list[Any] = [{"name": f"tool_{number}", "inputSchema": {}} for number in range(4_990)]
    assert catalogue_of({"tools": tools}, size=400_000).apart_seconds > 1.5
    assert catalogue_of({"tools": tools[:1] * 4_990}).apart_seconds > 1.5, "whatever may be offered of it"
    assert catalogue_of({"tools": tools[:10]}, size=16_000_000).apart_seconds > 1.5
    assert catalogue_of({"tools": tools[:10]}, size=800).apart_seconds < 0.01, "a short one is"


@pytest.mark.requirement("NEIGHBOUR-15")
async def test_a_long_list_is_read_without_the_models_of_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object, **__: object) -> None:
        raise AssertionError("asked through the session")

    monkeypatch.setattr("answerable.adapters.mcp_upstream.listing.ask", never)
    monkeypatch.setattr("answerable.adapters.mcp_upstream.direct.validate_server_result", never)
    (tmp_path / "asking.py").write_text(ASKING)
    command = (str(tmp_path / "asking.py"), str(tmp_path / "answers"), "4990", "0")
    async with ready(Server(name="bad", command=sys.executable, args=command)) as upstream:
        assert upstream.states()[0].tools == 4_990

"""A broker's door on a socket, with a target in memory behind it, and what tests ask of it."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2

from answerable.adapters.uvicorn_front import serve
from answerable.apps.broker.application import broker_app
from answerable.apps.broker.services import BrokerServices
from answerable.core.lease.wire import WARRANT_META
from answerable.flows.leases.lease_desk import BrokerState
from answerable.testing.memory_target import MemoryTarget
from answerable.testing.samples import signing_key
from tests.worlds.call_meta import META
from tests.worlds.lease import LeaseWorld

KEY = signing_key("scout")
OWN = frozenset({os.getuid()})


class Door:
    """A broker that answers on a socket, and what is asked of it."""

    def __init__(self, desk: BrokerState, world: LeaseWorld, socket: Path) -> None:
        self.desk, self.world, self.socket = desk, world, socket

    @property
    def target(self) -> MemoryTarget:
        return self.world.target()

    async def post(self, path: str, body: bytes, **headers: str) -> httpx2.Response:
        transport = httpx2.AsyncHTTPTransport(uds=str(self.socket))
        async with httpx2.AsyncClient(transport=transport, timeout=30) as client:
            return await client.post(f"http://broker{path}", content=body, headers=headers)

    async def call(self, *, token: str | None, key: str = "case-1", tool: str = "get") -> dict[str, Any]:
        meta = META | ({WARRANT_META: token} if token is not None else {})
        message = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": tool, "arguments": {"key": key}, "_meta": meta},
        }
        answer = await self.post(
            "/mcp/one",
            json.dumps(message).encode(),
            **{
                "accept": "application/json, text/event-stream",
                "content-type": "application/json",
                "mcp-protocol-version": "2026-07-28",
                "mcp-method": "tools/call",
                "mcp-name": tool,
            },
        )
        lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
        return json.loads(lines[-1] if lines else answer.text)


@asynccontextmanager
async def a_door(tmp_path: Path, *, uids: frozenset[int] = OWN) -> AsyncIterator[Door]:
    world = LeaseWorld()
    world.target().values["case-1"] = "open"
    socket = tmp_path / "broker.sock"
    async with world.broker() as desk, anyio.create_task_group() as tasks:
        needs = BrokerServices(desk=desk, keys=lambda: (KEY.public,), uids=uids, kinds={"one": "memory"})
        up, stop = anyio.Event(), anyio.Event()
        tasks.start_soon(lambda: serve(broker_app(needs), uds=socket, started=lambda _: up.set(), stop=stop))
        await up.wait()
        yield Door(desk, world, socket)
        stop.set()

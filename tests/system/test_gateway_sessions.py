"""The session-based era: whose a session is, and how many there may be."""

from __future__ import annotations

import json

import anyio
import pytest

from answerable.apps.mcp_gateway.services import GatewayLimits
from tests.worlds.gateway import World, gateway_world, until

pytestmark = pytest.mark.anyio
FIELDS = {"content-type": "application/json", "accept": "application/json, text/event-stream"}


def message(method: str, params: dict[str, object] | None = None, identifier: int | None = 1) -> bytes:
    value: dict[str, object] = {"jsonrpc": "2.0", "method": method, "params": params or {}}
    return json.dumps(value if identifier is None else {**value, "id": identifier}).encode()


async def initialize(world: World, agent: str = "scout") -> str:
    params = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    async with world.http(agent=agent) as http:
        answer = await http.post(
            f"{world.url}/mcp/crm", content=message("initialize", params), headers=FIELDS
        )
        assert answer.status_code == 200
        session = answer.headers["mcp-session-id"]
        note = message("notifications/initialized", identifier=None)
        accepted = await http.post(
            f"{world.url}/mcp/crm", content=note, headers={**FIELDS, "mcp-session-id": session}
        )
        assert accepted.status_code == 202
    return str(session)


async def status(world: World, session: str, agent: str = "scout", method: str = "POST") -> int:
    async with world.http(agent=agent) as http:
        content = message("tools/list") if method == "POST" else b""
        fields = {**FIELDS, "mcp-session-id": session}
        return (
            await http.request(method, f"{world.url}/mcp/crm", content=content, headers=fields)
        ).status_code


@pytest.mark.requirement("GATE-12")
async def test_a_session_does_not_exist_for_anybody_else(tmp_path):
    async with gateway_world(tmp_path, "crm") as world:
        session = await initialize(world)
        for method in ("POST", "GET", "DELETE"):
            assert await status(world, session, "rover", method) == 404
        assert await status(world, "made-up") == 404
        assert await status(world, session) == 200
        assert await status(world, session, method="DELETE") == 200
        assert await status(world, session) == 404


@pytest.mark.requirement("GATE-12")
async def test_a_request_of_a_session_is_cancelled_by_its_own_session_only(tmp_path):
    async with gateway_world(tmp_path, "crm", "bad") as world:
        world.mandate("bad.slow")
        async with world.client("bad", mode="legacy") as client, anyio.create_task_group() as tasks:
            results: list[bool] = []

            async def call() -> None:
                results.append((await client.call_tool("slow", {"seconds": 0.6})).is_error)

            tasks.start_soon(call)
            await until(world.effects)
            cancel = {"requestId": 2, "reason": "mischief"}
            async with world.http(agent="rover") as http:
                other = await initialize(world, "rover")
                for identifier in range(6):
                    note = message(
                        "notifications/cancelled", {**cancel, "requestId": identifier}, identifier=None
                    )
                    fields = {**FIELDS, "mcp-session-id": other}
                    assert (
                        await http.post(f"{world.url}/mcp/crm", content=note, headers=fields)
                    ).status_code == 202
        assert results == [False]


@pytest.mark.requirement("GATE-12")
async def test_an_agent_that_opens_sessions_for_ever_ends_its_own(tmp_path):
    async with gateway_world(tmp_path, "crm", limits=GatewayLimits(sessions_per_agent_max=3)) as world:
        others = await initialize(world, "rover")
        sessions = [await initialize(world) for _ in range(6)]
        assert [await status(world, session) for session in sessions] == [404, 404, 404, 200, 200, 200]
        assert await status(world, others, "rover") == 200
        (door, _) = world.gateway._doors["crm"]
        assert len(door.full._server_instances) == 4


@pytest.mark.requirement("GATE-12")
async def test_a_request_without_a_session_is_told_so(tmp_path):
    async with gateway_world(tmp_path, "crm") as world, world.http() as http:
        answer = await http.post(f"{world.url}/mcp/crm", content=message("tools/list"), headers=FIELDS)
        assert answer.json()["error"]["data"]["code"] == "session.missing"

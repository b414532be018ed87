"""The shim as a client starts it: a process with pipes, in front of a real gateway."""

from __future__ import annotations

import json
import sys

import anyio
import pytest
from mcp import StdioServerParameters
from mcp.client.client import Client

from answerable.core.ledger.tags import Tag
from tests.gateway_world import HERE, World, gateway_world, modern, until

pytestmark = pytest.mark.anyio
SHIM = HERE / "system" / "shim_main.py"
ERAS = pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])


def command(world: World, server: str, gateway: str = "") -> StdioServerParameters:
    return StdioServerParameters(
        command=sys.executable, args=[str(SHIM), server, gateway or world.url, "scout", "m-1"]
    )


async def exchanged(world: World, *lines: bytes, server: str = "crm") -> list[dict[str, object]]:
    """What the shim answers to these lines, as raw as they are."""
    started = command(world, server)
    process = await anyio.run_process([started.command, *started.args], input=b"\n".join(lines) + b"\n")
    return [json.loads(line) for line in process.stdout.splitlines()]


@ERAS
@pytest.mark.requirement("GATE-01")
async def test_a_stdio_client_reaches_every_method_and_holds_no_key(tmp_path, mode):
    async with gateway_world(tmp_path, "crm", uds=tmp_path / "gateway") as world:
        world.mandate("crm.read", "crm.case")
        for gateway in (world.url, f"unix:{tmp_path / 'gateway'}"):
            async with Client(command(world, "crm", gateway), mode=mode, cache=None) as client:
                assert [tool.name for tool in (await client.list_tools()).tools] == ["customer_read"]
                read = await client.call_tool("customer_read", {"case_id": "4711"})
                assert read.structured_content["name"] == "Amara Okafor"
                assert (await client.read_resource("crm://case/4711")).contents
                refused = await client.call_tool("case_list", {})
                assert refused.is_error
        assert len(world.entries(Tag.INTENT)) == 4


@ERAS
@pytest.mark.requirement("GATE-17")
async def test_progress_and_cancellation_pass_through(tmp_path, mode):
    seen: list[float] = []

    async def note(progress, total, message):
        seen.append(progress)

    async with gateway_world(tmp_path, "bad") as world:
        world.mandate("bad.slow", "bad.hang")
        async with Client(command(world, "bad"), mode=mode, cache=None) as client:
            await client.call_tool("slow", {"seconds": 0.2}, progress_callback=note)
            with anyio.move_on_after(0.3):
                await client.call_tool("hang", {})
            await until(lambda: world.lines("cancelled"), seconds=1.5)
        assert seen == [1, 2, 3, 4]


@pytest.mark.requirement("GATE-17")
async def test_lines_that_are_no_messages_cost_nothing_else(tmp_path):
    async with gateway_world(tmp_path, "crm") as world:
        world.mandate("crm.read")
        answers = await exchanged(
            world,
            b'{"jsonrpc":"2.0","id":1,"method":"x","method":"y"}',
            b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}',
            b"\xff\xfe",
            b"not json",
            b"[" * 10_000,
            b"[" + modern("tools/list") + b"]",
            b'{"jsonrpc":"2.0","id":7,"result":{}}',
            b'{"jsonrpc":"2.0","method":"notifications/made_up"}',
            modern("tools/made_up", identifier="unknown"),
            modern("tools/list", identifier="last"),
        )
        assert [answer["id"] for answer in answers[:6]] == [None] * 6
        assert [answer["error"]["code"] for answer in answers[:6]] == [-32700] * 5 + [-32600]
        named = {answer["id"]: answer for answer in answers[6:]}
        assert named["unknown"]["error"]["code"] == -32601
        assert [tool["name"] for tool in named["last"]["result"]["tools"]] == ["customer_read"]
        assert len(answers) == 8


@pytest.mark.requirement("GATE-17")
async def test_a_gateway_that_is_away_is_said_and_what_it_refuses_is_passed_on(tmp_path):
    async with gateway_world(tmp_path, "crm") as world:
        started = command(world, "crm", "http://127.0.0.1:9")
        process = await anyio.run_process(
            [started.command, *started.args], input=modern("tools/list", identifier=5)
        )
        (answer,) = [json.loads(line) for line in process.stdout.splitlines()]
        assert answer["id"] == 5
        assert answer["error"]["data"] == {"effect": "none", "retry": True}
        (unknown,) = await exchanged(world, modern("tools/list", identifier=6), server="nobody")
        assert unknown["id"] == 6
        assert "`nobody` is not registered" in unknown["error"]["message"]


@pytest.mark.requirement("GATE-17")
async def test_a_session_outlives_a_restart_of_the_gateway(tmp_path):
    async with gateway_world(tmp_path, "crm") as world:
        world.mandate("crm.read")
        async with Client(command(world, "crm"), mode="legacy", cache=None) as client:
            assert not (await client.call_tool("customer_read", {"case_id": "4711"})).is_error
            (door, scope) = world.gateway._doors.pop("crm")
            scope.cancel()
            await until(lambda: not door.sessions._by_id)
            assert not (await client.call_tool("customer_read", {"case_id": "4711"})).is_error

"""The shim as a client starts it: a process with pipes, in front of a real gateway."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from mcp import StdioServerParameters
from mcp.client.client import Client

from answerable.apps.mcp_shim.relay import run_shim
from answerable.core.ledger.tags import Tag
from tests.worlds.gateway import HERE, World, gateway_world, modern, until

pytestmark = pytest.mark.anyio
SHIM = HERE / "system" / "shim_main.py"
ERAS = pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])


def command(world: World, server: str, gateway: str = "", *, mandate: str = "m-1") -> StdioServerParameters:
    return StdioServerParameters(
        command=sys.executable, args=[str(SHIM), server, gateway or world.url, "scout", mandate]
    )


class Pipes:
    """The shim in this process, at the end of two pipes."""

    def __init__(self) -> None:
        read, self._write = os.pipe()
        self.stdin = os.fdopen(read, "rb")
        self.stdout = io.BytesIO()

    def say(self, *lines: bytes) -> None:
        for line in lines:
            os.write(self._write, line + b"\n")

    def close(self) -> None:
        os.close(self._write)

    @property
    def heard(self) -> list[dict[str, Any]]:
        text = self.stdout.getvalue()
        return [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]

    async def answer(self, identifier: object) -> dict[str, Any]:
        await until(lambda: any(one.get("id") == identifier for one in self.heard))
        return next(one for one in self.heard if one.get("id") == identifier)


@asynccontextmanager
async def shim(world: World, server: str, gateway: str = "") -> AsyncIterator[Pipes]:
    pipes = Pipes()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            lambda: run_shim(
                server=server,
                gateway=gateway or world.url,
                auth=world.auth(mandate="m-1"),
                stdin=pipes.stdin,
                stdout=pipes.stdout,
            )
        )
        try:
            yield pipes
        finally:
            pipes.close()


def old(method: str, params: dict[str, Any] | None = None, identifier: Any = None) -> bytes:
    """A message of the session-based era."""
    value: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params or {}}
    return json.dumps(value if identifier is None else {**value, "id": identifier}).encode()


INITIALIZE = old(
    "initialize",
    {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
    "init",
)


async def exchanged(
    world: World, *lines: bytes, server: str = "crm", gateway: str = ""
) -> list[dict[str, Any]]:
    """What the shim answers to these lines, as raw as they are."""
    async with shim(world, server, gateway) as pipes:
        pipes.say(*lines)
    return pipes.heard


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
        (answer,) = await exchanged(world, modern("tools/list", identifier=5), gateway="http://127.0.0.1:9")
        assert answer["id"] == 5
        data = answer["error"]["data"]
        assert (data["effect"], data["retry"], data["message"]) == ("none", True, answer["error"]["message"])
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


@pytest.mark.requirement("GATE-17")
async def test_a_session_is_opened_followed_and_closed(tmp_path):
    async with gateway_world(tmp_path, "noticing") as world:
        world.mandate("thing.touch", "thing.follow", "thing.grow")
        async with shim(world, "noticing") as pipes:
            pipes.say(INITIALIZE)
            assert (await pipes.answer("init"))["result"]["protocolVersion"] == "2025-11-25"
            pipes.say(old("notifications/initialized"), old("resources/subscribe", {"uri": "thing://a"}, 1))
            assert "result" in await pipes.answer(1)
            door, _ = world.gateway._doors["noticing"]
            (session,) = door.sessions._by_id.values()
            # The standing stream is the second request of the session that stays open.
            await until(lambda: session.requests == 1)
            pipes.say(old("tools/call", {"name": "touch", "arguments": {"uri": "thing://a"}}, 2))
            await until(
                lambda: any(one.get("method") == "notifications/resources/updated" for one in pipes.heard)
            )
        await until(lambda: not door.sessions._by_id)


@pytest.mark.requirement("GATE-17")
async def test_a_session_that_the_gateway_forgot_is_opened_again(tmp_path):
    async with gateway_world(tmp_path, "bad") as world:
        world.mandate("bad.echo")
        call = {"name": "echo", "arguments": {"value": 1}}
        async with shim(world, "bad") as pipes:
            pipes.say(INITIALIZE)
            await pipes.answer("init")
            pipes.say(old("notifications/initialized"), old("tools/call", call, 1))
            assert "result" in await pipes.answer(1)
            door, _ = world.gateway._doors["bad"]
            door.sessions.end_all()
            pipes.say(old("tools/call", call, 2), old("tools/call", call, 3))
            assert "result" in await pipes.answer(2)
            assert "result" in await pipes.answer(3)
            assert len(door.sessions._by_id) == 1
        assert len(world.effects()) == 3
        assert [one["id"] for one in pipes.heard if one.get("id") == "init"] == ["init"]


@pytest.mark.requirement("GATE-17")
async def test_what_was_cancelled_is_not_answered(tmp_path):
    async with gateway_world(tmp_path, "bad") as world:
        world.mandate("bad.slow", "bad.echo")
        slow = {"name": "slow", "arguments": {"seconds": 0.8}}
        async with shim(world, "bad") as pipes:
            pipes.say(modern("tools/call", slow, "a"), modern("tools/call", slow, "a"))
            assert (await pipes.answer("a"))["error"]["message"] == "this id is in use"
            await until(lambda: len(world.effects()) == 1)
            pipes.say(old("notifications/cancelled", {"requestId": "a"}), old("notifications/cancelled", {}))
            pipes.say(INITIALIZE)
            await pipes.answer("init")
            pipes.say(old("notifications/initialized"), old("tools/call", slow, 7))
            await until(lambda: len(world.effects()) == 2)
            pipes.say(old("notifications/cancelled", {"requestId": 7}))
            await until(lambda: len(world.lines("cancelled")) == 2)
            await anyio.sleep(0.2)
        assert [one["id"] for one in pipes.heard] == ["a", "init"]


@pytest.mark.requirement("GATE-17")
async def test_requests_are_bounded_and_a_session_without_an_opening_ends(tmp_path, monkeypatch):
    monkeypatch.setattr("answerable.apps.mcp_shim.relay.REQUESTS_MAX", 1)
    async with gateway_world(tmp_path, "bad") as world:
        world.mandate("bad.slow")
        call = {"name": "slow", "arguments": {"seconds": 0.4}}
        async with shim(world, "bad") as pipes:
            pipes.say(modern("tools/call", call, 1), modern("tools/call", call, 2))
            assert "at most 1" in (await pipes.answer(2))["error"]["message"]
            assert "result" in await pipes.answer(1)
            pipes.say(old("tools/list", {}, 3))
            assert (await pipes.answer(3))["error"]["message"] == "this revision needs a session"


@pytest.mark.requirement("GATE-17")
async def test_nobody_reading_ends_the_shim(tmp_path):
    async with gateway_world(tmp_path, "crm") as world:
        with anyio.fail_after(5):
            async with shim(world, "crm") as pipes:
                pipes.stdout.close()
                pipes.say(b"not json")
                await anyio.sleep(0.05)

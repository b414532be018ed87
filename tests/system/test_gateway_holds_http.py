"""A hold at a real gateway whose upstream is a real MCP server over HTTP: its calls in flight end there, too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from answerable.adapters.mcp_upstream.settings import UpstreamSettings
from answerable.core.containment.hold import holdable
from answerable.core.ledger.tags import Tag
from answerable.flows.containment.follow_holds import follow_holds
from answerable.testing.samples import document
from tests.system.test_gateway_holds import held
from tests.system.waiting_http import TOOLS, Waiting, waiting_http
from tests.worlds.gateway import World, capability, gateway_world, until

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("HOLD-17")]
ERAS = pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
FOLLOWED = pytest.mark.parametrize("followed", [False, True], ids=["alone", "with progress"])


@asynccontextmanager
async def waiting(tmp_path: Any, mode: str, **how: Any) -> AsyncIterator[tuple[World, Waiting]]:
    async with waiting_http(**how) as peer:
        documents = [
            document("Server", "waiting", {"url": peer.url, "callSecondsMax": 60}),
            *(
                capability(f"waiting.{name}", "waiting", "tools/call", name, {"type": "Thing", "fixed": "it"})
                for name in TOOLS
            ),
        ]
        settings = UpstreamSettings(mode=mode)
        async with gateway_world(tmp_path, more=documents, settings=settings) as world:
            world.mandate(*(f"waiting.{name}" for name in TOOLS))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(
                    follow_holds,
                    world.walk.recorder.open_intents,
                    world.walk.authority,
                    world.walk.live,
                    world.walk.counters.cuts,
                )
                yield world, peer
                tasks.cancel_scope.cancel()


async def cut(world: World, peer: Waiting, name: str, *, followed: bool) -> str:
    """What the agent is told of a call that is held while it is on its way."""
    answers: list[str] = []

    async def progress(*_: object) -> None:
        return

    async with world.client("waiting") as client, anyio.create_task_group() as calling:

        async def call() -> None:
            try:
                # One that wants progress goes through the SDK's session, another one around it where that can be.
                told = {"progress_callback": progress} if followed else {}
                answers.append(str((await client.call_tool(name, {}, **told)).content))
            except MCPError as error:
                answers.append(error.message)

        calling.start_soon(call)
        await until(lambda: peer.began)
        held(world, holdable("tool", f"waiting/{name}"))
    return answers[0]


@ERAS
@FOLLOWED
async def test_a_call_in_flight_over_http_is_cut_ended_by_the_server_and_closed(tmp_path, mode, followed):
    async with waiting(tmp_path, mode) as (world, peer):
        said = await cut(world, peer, "slow", followed=followed)
        assert "tool `waiting/slow` is held" in said
        await until(lambda: peer.stopped == ["slow"])
        await until(lambda: peer.gone)
        # The newest revision has no such notification over HTTP: closing the exchange says it.
        assert peer.told == ([] if mode == "2026-07-28" else peer.gone)
        assert len(world.entries(Tag.INDETERMINATE)) == 1


@ERAS
@FOLLOWED
async def test_the_exchange_with_a_server_that_does_not_stop_is_closed_and_others_go_on(
    tmp_path, mode, followed
):
    async with waiting(tmp_path, mode) as (world, peer):
        said = await cut(world, peer, "deaf", followed=followed)
        assert "tool `waiting/deaf` is held" in said
        await until(lambda: peer.gone)
        assert not peer.stopped
        assert len(world.entries(Tag.INDETERMINATE)) == 1
        # It is the same connection of the same session, and nothing of it was lost.
        async with world.client("waiting") as client:
            assert "done" in str((await client.call_tool("quick", {})).content)


async def test_a_call_of_a_session_that_is_answered_in_json_is_closed_before_its_first_byte(tmp_path):
    async with waiting(tmp_path, "legacy", json_response=True) as (world, peer):
        assert "is held" in await cut(world, peer, "deaf", followed=False)
        await until(lambda: peer.gone)
        assert peer.told == peer.gone
        async with world.client("waiting") as client:
            assert "done" in str((await client.call_tool("quick", {})).content)


async def test_the_rest_of_a_stream_that_was_given_up_is_not_asked_for(tmp_path):
    async with waiting(tmp_path, "legacy", resumable=True) as (world, peer):
        assert "is held" in await cut(world, peer, "deaf", followed=True)
        await until(lambda: peer.gone)
        # More than the pause after which a client comes back.
        await anyio.sleep(1.5)
        assert peer.resumed == 0
        assert len(world.entries(Tag.INDETERMINATE)) == 1

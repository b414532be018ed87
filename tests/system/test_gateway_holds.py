"""A held agent at a real gateway, in both eras, over real servers: what is open is cut, and nothing new opens."""

from __future__ import annotations

import anyio
import pytest
from mcp.shared.exceptions import MCPError

from answerable.adapters.mcp_upstream.settings import UpstreamSettings
from answerable.core.containment.hold import EVERYTHING, Hold, HoldId, HoldTarget, holdable
from answerable.core.ledger.tags import Tag
from answerable.flows.containment.follow_holds import follow_holds
from tests.system.test_gateway_events import ALL, Heard, acknowledged, noticing, touch
from tests.system.test_gateway_sessions import FIELDS, initialize, message, status
from tests.worlds.gateway import World, gateway_world, until

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:resources/:mcp.MCPDeprecationWarning")]
ERAS = pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])


def held(world: World, what: HoldTarget) -> None:
    """Somebody else's process put it into force: here it is only found in the register."""
    world.walk.authority.holds.place(
        Hold(id=HoldId("hold_" + "x" * 22), what=what, at=world.walk.clock.now(), by="uid:0")
    )


@ERAS
@pytest.mark.requirement("HOLD-05")
@pytest.mark.parametrize("followed", [False, True], ids=["alone", "with progress"])
async def test_a_call_in_flight_is_cut_the_upstream_is_told_and_the_agent_hears_why(tmp_path, mode, followed):
    async with gateway_world(tmp_path, "bad") as world, anyio.create_task_group() as tasks:
        tasks.start_soon(
            follow_holds,
            world.walk.recorder.open_intents,
            world.walk.authority,
            world.walk.live,
            world.walk.counters.cuts,
        )
        world.mandate("bad.slow")
        answers: list[str] = []

        async with world.client("bad", mode=mode) as client:

            async def progress(*_: object) -> None:
                return

            async def call() -> None:
                try:
                    # One that wants progress goes through the SDK's session, another one around it.
                    told = {"progress_callback": progress} if followed else {}
                    answers.append(str((await client.call_tool("slow", {"seconds": 30}, **told)).content))
                except MCPError as error:
                    answers.append(error.message)

            async with anyio.create_task_group() as calling:
                calling.start_soon(call)
                await until(lambda: world.lines("calls"))
                held(world, holdable("tool", "bad/slow"))
                await until(lambda: world.lines("cancelled"))
        assert "tool `bad/slow` is held" in answers[0]
        assert len(world.entries(Tag.INDETERMINATE)) == 1
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    "what", [holdable("agent", "scout"), holdable("mandate", "m-1"), holdable("server", "noticing"), EVERYTHING],
    ids=str,
)  # fmt: skip
@pytest.mark.requirement("HOLD-05")
async def test_a_stream_ends_and_what_it_waited_for_is_given_up_upstream(tmp_path, what):
    async with noticing(tmp_path, "2026-07-28") as world, anyio.create_task_group() as tasks:
        tasks.start_soon(
            follow_holds,
            world.walk.recorder.open_intents,
            world.walk.authority,
            world.walk.live,
            world.walk.counters.cuts,
        )
        world.mandate(*ALL)
        link = world.upstream._links["noticing"]
        async with world.client("noticing") as client:
            async with client.listen(tools_list_changed=True, resource_subscriptions=["thing://a"]) as stream:
                held(world, what)
                with anyio.fail_after(5):
                    assert [event async for event in stream] == []
            await until(lambda: link._live is not None and not link._live.acknowledged)
            assert link.watches._listeners == {}
            assert not world.walk.live.streams
            for attempt in (client.list_tools, client.list_resources):
                with pytest.raises(MCPError) as refused:
                    await attempt()
                assert "held" in refused.value.message
            with pytest.raises(MCPError):
                async with client.listen(tools_list_changed=True):
                    raise AssertionError("it opened")
        tasks.cancel_scope.cancel()


@pytest.mark.requirement("HOLD-05")
async def test_a_session_of_a_held_agent_ends_with_all_that_hangs_on_it_and_no_new_one_opens(tmp_path):
    async with gateway_world(tmp_path, "crm") as world, anyio.create_task_group() as tasks:
        tasks.start_soon(
            follow_holds,
            world.walk.recorder.open_intents,
            world.walk.authority,
            world.walk.live,
            world.walk.counters.cuts,
        )
        session, other = await initialize(world), await initialize(world, "rover")
        opened, closed = anyio.Event(), anyio.Event()

        async def hears() -> None:
            fields = {**FIELDS, "mcp-session-id": session}
            async with (
                world.http() as http,
                http.stream("GET", f"{world.url}/mcp/crm", headers=fields) as answer,
            ):
                assert answer.status_code == 200
                opened.set()
                async for _ in answer.aiter_bytes():
                    pass
            closed.set()

        async with anyio.create_task_group() as hearing:
            hearing.start_soon(hears)
            await opened.wait()
            held(world, holdable("agent", "scout"))
            with anyio.fail_after(5):
                await closed.wait()
        assert await status(world, session) == 404
        assert await status(world, other, "rover") == 200
        params = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        }
        async with world.http() as http:
            answer = await http.post(
                f"{world.url}/mcp/crm", content=message("initialize", params), headers=FIELDS
            )
        assert "held" in answer.text
        assert "mcp-session-id" not in answer.headers
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("upstream", ["2026-07-28", "legacy"])
@pytest.mark.requirement("HOLD-05")
async def test_a_subscription_under_a_held_mandate_is_given_up_and_the_session_goes_on(tmp_path, upstream):
    heard = Heard()
    async with noticing(tmp_path, upstream) as world, anyio.create_task_group() as tasks:
        tasks.start_soon(
            follow_holds,
            world.walk.recorder.open_intents,
            world.walk.authority,
            world.walk.live,
            world.walk.counters.cuts,
        )
        world.mandate("thing.follow")
        world.mandate(*ALL, identity="m-2")
        async with (
            world.client("noticing", mode="legacy", message_handler=heard) as client,
            world.client("noticing", mandate="m-2") as other,
        ):
            await client.subscribe_resource("thing://a")
            await until(lambda: "thing://a" in acknowledged(world))
            await touch(other, "thing://a")
            await until(lambda: heard.uris)
            held(world, holdable("mandate", "m-1"))
            link = world.upstream._links["noticing"]
            await until(lambda: not link.watches.wanted)
            await touch(other, "thing://a")
            await anyio.sleep(0.2)
            assert heard.uris == ["thing://a"]
            with pytest.raises(MCPError):
                await client.subscribe_resource("thing://b")
            await client.unsubscribe_resource("thing://a")
        await until(lambda: not world.walk.live.streams)
        tasks.cancel_scope.cancel()


@pytest.mark.requirement("HOLD-05")
async def test_closed_streams_and_sessions_leave_nothing_behind_to_cut(tmp_path):
    async with gateway_world(tmp_path, "noticing", settings=UpstreamSettings(mode="2026-07-28")) as world:
        world.mandate(*ALL)
        async with world.client("noticing") as client, client.listen(tools_list_changed=True):
            assert len(world.walk.live.streams) == 1
        await until(lambda: not world.walk.live.streams)
        async with world.client("noticing", mode="legacy") as client:
            await client.subscribe_resource("thing://a")
            await client.subscribe_resource("thing://a")
            assert len(world.walk.live.streams) == 2
        await until(lambda: not world.walk.live.streams)

"""Subscriptions in both eras, to upstreams of both eras: governed, filtered, checked again for each event."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import mcp_types
import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError

from answerable.adapters.mcp_upstream.settings import UpstreamSettings
from answerable.adapters.system import SystemClock
from answerable.apps.mcp_gateway.services import GatewayLimits
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.tags import Tag
from tests.worlds.gateway import World, gateway_world, until

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:resources/:mcp.MCPDeprecationWarning")]
ALL = ("thing.touch", "thing.grow", "thing.follow", "thing.listen")
UPSTREAM_ERAS = pytest.mark.parametrize("upstream", ["2026-07-28", "legacy"])


@asynccontextmanager
async def noticing(tmp_path, upstream: str, **more) -> AsyncIterator[World]:
    async with gateway_world(tmp_path, "noticing", settings=UpstreamSettings(mode=upstream), **more) as world:
        yield world


def acknowledged(world: World) -> set[str]:
    """What the server says that it tells of."""
    live = world.upstream._links["noticing"]._live
    return set(live.acknowledged) if live is not None else set()


class Heard:
    """What a session-based client was told."""

    def __init__(self) -> None:
        self.messages: list[object] = []

    async def __call__(self, message) -> None:
        self.messages.append(message)

    @property
    def uris(self) -> list[str]:
        return [
            str(m.params.uri) for m in self.messages if isinstance(m, mcp_types.ResourceUpdatedNotification)
        ]


async def touch(client: Client, *uris: str) -> None:
    for uri in uris:
        assert not (await client.call_tool("touch", {"uri": uri})).is_error


@UPSTREAM_ERAS
@pytest.mark.requirement("GATE-14")
async def test_a_modern_caller_hears_what_it_was_allowed_and_nothing_else(tmp_path, upstream):
    async with noticing(tmp_path, upstream) as world:
        world.mandate(*ALL)
        async with (
            world.client("noticing") as client,
            client.listen(resource_subscriptions=["thing://a", "other://b"]) as stream,
        ):
            assert stream.honored.resource_subscriptions == ["thing://a"]
            await touch(client, "thing://c", "thing://a")
            with anyio.fail_after(5):
                event = await anext(stream)
            assert event.uri == "thing://a"
        assert world.entries(Tag.INTENT)[0]["capability"] == "thing.listen"
        assert len(world.entries(Tag.REFUSAL)) == 1


@UPSTREAM_ERAS
@pytest.mark.requirement("GATE-14")
async def test_a_session_hears_what_it_was_allowed_until_it_unsubscribes(tmp_path, upstream):
    heard = Heard()
    async with noticing(tmp_path, upstream) as world:
        world.mandate(*ALL)
        async with world.client("noticing", mode="legacy", message_handler=heard) as client:
            await client.subscribe_resource("thing://a")
            await client.subscribe_resource("thing://b")
            with pytest.raises(MCPError) as refused:
                await client.subscribe_resource("other://c")
            assert refused.value.code == -32001
            await until(lambda: {"thing://a", "thing://b"} <= acknowledged(world))
            await touch(client, "thing://c", "thing://a", "thing://b")
            await until(lambda: len(heard.uris) >= 2)
            await client.unsubscribe_resource("thing://a")
            await touch(client, "thing://a", "thing://b")
            await until(lambda: len(heard.uris) >= 3)
        assert heard.uris == ["thing://a", "thing://b", "thing://b"]


@pytest.mark.parametrize("end", ["closed", "expired"])
@pytest.mark.requirement("GATE-14")
async def test_a_mandate_that_ends_hears_nothing_more(tmp_path, end, monkeypatch):
    heard = Heard()
    lives, really = 45, SystemClock.now
    async with noticing(tmp_path, "2026-07-28") as world:
        world.mandate("thing.follow", seconds=600 if end == "closed" else lives)
        world.mandate(*ALL, identity="m-2")
        async with (
            world.client("noticing", mode="legacy", message_handler=heard) as client,
            world.client("noticing", mandate="m-2") as other,
        ):
            await client.subscribe_resource("thing://a")
            await until(lambda: "thing://a" in acknowledged(world))
            await touch(other, "thing://a")
            await until(lambda: heard.uris)
            if end == "closed":
                world.walk.authority.mandates.close("m-1")
            else:
                # As far ahead of the caller's clock as proofs allow.
                monkeypatch.setattr(
                    SystemClock, "now", lambda clock: UnixMillis(really(clock) + lives * 1000)
                )
            await touch(other, "thing://a")
            await anyio.sleep(0.3)
        assert heard.uris == ["thing://a"]


@UPSTREAM_ERAS
@pytest.mark.requirement("GATE-14")
async def test_what_nobody_waits_for_is_given_up_upstream(tmp_path, upstream):
    async with noticing(tmp_path, upstream) as world:
        world.mandate(*ALL)
        link = world.upstream._links["noticing"]
        async with world.client("noticing") as client, client.listen(resource_subscriptions=["thing://a"]):
            assert link._live is not None
            assert link._live.acknowledged == {"thing://a"}
        await until(lambda: link._live is not None and not link._live.acknowledged)
        assert link.watches._listeners == {}


@UPSTREAM_ERAS
@pytest.mark.requirement("GATE-14")
async def test_changed_lists_are_read_again_and_announced(tmp_path, upstream):
    heard = Heard()
    async with noticing(tmp_path, upstream) as world:
        world.mandate(*ALL)
        async with (
            world.client("noticing", mode="legacy", message_handler=heard) as old,
            world.client("noticing") as client,
            client.listen(tools_list_changed=True) as stream,
        ):
            await anyio.sleep(0.3)
            assert not (await old.call_tool("grow", {})).is_error
            with anyio.fail_after(5):
                await anext(stream)
            await until(
                lambda: any(isinstance(m, mcp_types.ToolListChangedNotification) for m in heard.messages)
            )
            link = world.upstream._links["noticing"]
            await until(lambda: link.catalogue is not None and link.catalogue.offers("tools", "grown"))
            assert "grown" in [
                entry["name"] for entry in await world.upstream.entries("noticing", "tools/list") or ()
            ]


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
@pytest.mark.requirement("GATE-05")
async def test_of_the_resources_those_are_listed_that_the_mandate_lets_be_read(tmp_path, mode):
    async with noticing(tmp_path, "2026-07-28") as world:
        world.mandate("thing.read")
        world.mandate(*ALL, agent="rover", identity="m-2")
        async with world.client("noticing", mode=mode) as client:
            assert [one.uri for one in (await client.list_resources()).resources] == ["thing://a"]
        async with world.client("noticing", mode=mode, agent="rover", mandate="m-2") as client:
            assert (await client.list_resources()).resources == []


@pytest.mark.requirement("GATE-14")
async def test_streams_are_bounded_and_nothing_granted_is_no_stream(tmp_path):
    async with noticing(tmp_path, "2026-07-28", limits=GatewayLimits(listens_per_agent_max=1)) as world:
        world.mandate(*ALL)
        async with world.client("noticing") as client:
            with pytest.raises(MCPError) as nothing:
                async with client.listen(resource_subscriptions=["other://a", "other://b"]):
                    pass
            assert nothing.value.code == -32001
            assert nothing.value.data["code"] == "gateway.nothing_granted"
            async with client.listen(tools_list_changed=True):
                with pytest.raises(MCPError) as refused:
                    async with client.listen(tools_list_changed=True):
                        pass
            assert "at most 1" in refused.value.message
            async with client.listen(tools_list_changed=True):
                pass


@pytest.mark.requirement("GATE-14")
async def test_whoever_waits_goes_on_waiting_when_the_server_is_started_anew(tmp_path):
    heard = Heard()
    async with noticing(tmp_path, "2026-07-28") as world:
        world.mandate(*ALL)
        async with world.client("noticing", mode="legacy", message_handler=heard) as client:
            await client.subscribe_resource("thing://a")
            await until(lambda: "thing://a" in acknowledged(world))
            (server,) = world.walk.authority.registry.current.servers.values()
            world.upstream.apply([replace(server, call_seconds_max=61)])
            assert await world.upstream.ready(seconds_max=10) == ()
            await until(lambda: "thing://a" in acknowledged(world))
            await touch(client, "thing://a")
            await until(lambda: heard.uris)

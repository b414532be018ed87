"""An orderly stop of a gateway that has listeners: it does not wait for those who ask for nothing."""

from __future__ import annotations

import anyio
import pytest

from answerable.flows.revocation.cut_held import end_listening
from tests.system.test_gateway_events import ALL, noticing, touch

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:resources/:mcp.MCPDeprecationWarning")]


@pytest.mark.requirement("NEIGHBOUR-19")
async def test_a_stream_of_events_ends_once_the_process_stops_and_calls_go_on(tmp_path):
    stopping = anyio.Event()
    async with noticing(tmp_path, "2026-07-28") as world, anyio.create_task_group() as tasks:
        tasks.start_soon(end_listening, world.walk.live.streams, stopping)
        world.mandate(*ALL)
        async with world.client("noticing") as client:
            async with client.listen(tools_list_changed=True, resource_subscriptions=["thing://a"]) as stream:
                stopping.set()
                with anyio.fail_after(5):
                    assert [event async for event in stream] == []
            await touch(client, "thing://a")
        assert not [one for one in world.walk.live.streams if one.listens]
        tasks.cancel_scope.cancel()

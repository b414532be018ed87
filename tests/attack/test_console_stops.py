"""The page of a stop while what it stops is still on its way."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import anyio
import pytest

from answerable.core.containment.hold import holdable
from answerable.flows.revocation.place_hold import place_hold
from tests.probes.console_client import console_house
from tests.worlds.parts import to_hold

pytestmark = pytest.mark.anyio

FOLLOWS = 'hx-trigger="news from:body"'


@pytest.mark.requirement("CONSOLE-15")
async def test_the_page_of_a_stop_follows_until_nothing_is_on_its_way_and_then_rests():
    house = await console_house()
    client = await house.signed_in()
    await house.bench.issue()
    begun, may_end = anyio.Event(), anyio.Event()

    async def on_its_way(_effect: Any) -> None:
        begun.set()
        # An upstream that takes its time to say how it ended, although the call was cut.
        while not may_end.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await may_end.wait()

    house.bench.upstream.before = on_its_way
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(house.bench.act)
        await begun.wait()
        placed = await place_hold(
            *to_hold(house.bench.walk), holdable("agent", "scout"), by="uid:1000", reason="odd"
        )
        path = f"/holds/{placed.hold.id}"
        whole = await client.page(path)
        assert 'data-news="/news"' in whole.text
        part = await client.page(f"{path}?part")
        assert "Still in flight" in part.text
        assert FOLLOWS in part.text
        assert f'hx-get="{path}?part"' in part.text
        assert "<html" not in part.text
        may_end.set()
    over = await client.page(f"{path}?part")
    assert "Nothing is in flight any more" in over.text
    assert FOLLOWS not in over.text

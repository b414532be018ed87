"""Whoever is held has an older copy of the registers put in place, and comes again, over a whole product."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.core.containment.hold import Hold, HoldId, holdable
from answerable.core.ledger.tags import Tag
from answerable.flows.revocation.place_hold import place_hold
from tests.attack.test_recalled_revocations import copied, said, taken_away
from tests.worlds.parts import to_hold
from tests.worlds.token import succeeded, token_world, why_not

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("HOLD-11")]


async def test_who_was_held_is_refused_over_an_older_copy_of_the_registers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place, copy = tmp_path / "house", tmp_path / "copy"
    async with token_world(tmp_path) as world:
        port = int(world.url.rpartition(":")[2])
        await world.mandate()
        await world.mandate(agent="writer", identity="m-2")
        root = await world.root()
        assert succeeded(await world.call("orchestrator", chain=(root,)))
    copied(place, copy)
    async with token_world(tmp_path, port=port) as world:
        assert succeeded(await world.call("writer", mandate="m-2"))
        placed = await place_hold(
            *to_hold(world.walk), holdable("agent", "orchestrator"), by="uid:1000", reason="seen"
        )
        assert "is held" in why_not(await world.call("orchestrator", chain=(root,)))
    taken_away(place)
    copied(copy, place)
    said(caplog)
    async with token_world(tmp_path, port=port) as world:
        assert said(caplog) == ["the registers are older than the ledger: 1 holds were restored"]
        assert "is held" in why_not(await world.call("orchestrator", chain=(root,)))
        answer = await world.exchange("orchestrator", root)
        assert answer.json()["answerable_code"] == "held.agent"
        asked = await world.post("/oauth/introspect", "orchestrator", {"token": root})
        assert asked.json()["active"] is False
        assert succeeded(await world.call("writer", mandate="m-2"))
        assert list(world.walk.authority.holds.all()) == [placed.hold]
        assert len(world.entries(Tag.HOLD_PLACED)) == 1
    async with token_world(tmp_path, port=port) as world:
        assert said(caplog) == []
        assert "is held" in why_not(await world.call("orchestrator", chain=(root,)))


async def test_a_hold_that_was_not_on_record_when_the_process_ended_is_recorded_at_the_next_start(
    tmp_path: Path,
) -> None:
    async with token_world(tmp_path) as world:
        hold = Hold(
            id=HoldId("hold_" + "x" * 22),
            what=holdable("agent", "writer"),
            at=world.walk.clock.now(),
            by="uid:1000",
        )
        world.walk.authority.holds.place(hold)
        assert world.entries(Tag.HOLD_PLACED) == []
    async with token_world(tmp_path) as world:
        assert [leaf["hold"] for leaf in world.entries(Tag.HOLD_PLACED)] == [hold.id]

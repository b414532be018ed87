"""Claims about actions while no quorum of witnesses cosigns the ledger, where they are refused then."""

from __future__ import annotations

import pytest

from answerable.core.ledger.tags import Tag
from answerable.errors import Refused
from answerable.testing.builders import Bench

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("WITNESS-11")]


async def test_an_unwitnessed_action_is_refused_and_recorded_and_nothing_happens() -> None:
    bench = await Bench().registered()
    await bench.issue()
    lacking = [Refused("no quorum", code="ledger.unwitnessed")]
    bench.recorder.unwitnessed = lambda: lacking[0] if lacking else None
    with pytest.raises(Refused) as told:
        await bench.act()
    assert told.value.code == "ledger.unwitnessed"
    assert bench.upstream.effects == []
    assert len(bench.entries(Tag.REFUSAL)) == 1
    assert bench.entries(Tag.INTENT) == []
    lacking.clear()
    await bench.act()
    assert len(bench.upstream.effects) == 1

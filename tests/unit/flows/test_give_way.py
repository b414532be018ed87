"""Who reads a long log gives others as much of the loop as it takes."""

from __future__ import annotations

import anyio
import pytest

from answerable.flows.recording.give_way import ENTRIES_PER_TURN, Turns
from answerable.testing.clock import ManualClock

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("NEIGHBOUR-21")]


async def test_after_each_turn_others_get_as_long_as_it_took(monkeypatch: pytest.MonkeyPatch):
    clock, waits = ManualClock(), []

    async def sleep(seconds: float) -> None:
        waits.append(round(seconds, 6))
        clock.advance(seconds)

    monkeypatch.setattr(anyio, "sleep", sleep)
    turns = Turns(clock)
    for count in range(1, 3 * ENTRIES_PER_TURN):
        clock.advance(0.001)
        await turns.after(count)
    assert waits == [round(0.001 * ENTRIES_PER_TURN, 6)] * 2

"""Whoever has no right to a shared system does not stop it for others by asking for it."""

from __future__ import annotations

import pytest

from answerable.core.containment.hold import HoldTarget
from tests.worlds.rule import HUGE, again, code_of, denied, ruled

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("RULE-04")]


@pytest.mark.parametrize("holds", ["server", "tool", "capability"])
async def test_refusals_without_a_right_to_it_hold_who_asked_and_not_what_was_asked_for(holds):
    bench = await ruled(denied(2, holds=holds))
    for _ in range(3):
        assert await code_of(bench.act(mandate="m-2")) == "mandate.other_agent"
    assert list(bench.authority.tripped.tripped) == [HoldTarget("agent", "scout")]
    assert await code_of(bench.act(mandate="m-2", agent="rover")) == "succeeded"


@pytest.mark.parametrize("holds", ["server", "tool", "capability"])
async def test_what_was_so_is_read_so_from_the_log(holds):
    bench = await ruled(denied(3, holds=holds))
    for _ in range(3):
        await code_of(bench.act(mandate="m-2"))
    new = again(bench, forgetting=True)
    assert await code_of(new.act(mandate="m-2")) == "mandate.other_agent"
    assert list(new.walk.authority.tripped.tripped) == [HoldTarget("agent", "scout")]


async def test_refusals_of_who_has_a_right_to_it_hold_what_was_asked_for():
    bench = await ruled(denied(2, holds="server"))
    for _ in range(3):
        await code_of(bench.refund(HUGE))
    assert list(bench.authority.tripped.tripped) == [HoldTarget("server", "crm")]

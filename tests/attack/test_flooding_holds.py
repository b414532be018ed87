"""Who is past a quota of refusals is held where people look, for what caused it, until the end that it says."""

from __future__ import annotations

import pytest

from answerable.core.containment.hold import HoldTarget
from answerable.core.ledger.tags import Tag
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.builders import Bench
from tests.worlds.hold import lift
from tests.worlds.rule import HUGE, again, code_of, ruled

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("FULLDISK-07")]
LIMITS = WalkLimits(refusals_recorded_max=3, refusals_window_ms=60_000)
FIRST, SECOND = HoldTarget("mandate", "m-1"), HoldTarget("mandate", "m-3")
AGENT = HoldTarget("agent", "scout")


async def flooding() -> Bench:
    """Scout with two mandates, refused under one of them until that is held."""
    bench = await ruled(limits=LIMITS)
    await bench.issue("m-3", calls_max=100_000)
    ends = [await code_of(bench.refund(HUGE)) for _ in range(5)]
    assert ends == ["refund-never"] * 3 + ["held.mandate"] * 2
    return bench


def held(bench: Bench) -> list[HoldTarget]:
    return [one.what for one in bench.authority.holds.all() if one.is_in_force(bench.clock.now())]


async def test_refusals_under_one_mandate_hold_that_mandate_alone_and_are_listed_and_on_record():
    bench = await flooding()
    assert held(bench) == [FIRST]
    assert await code_of(bench.act(mandate="m-3")) == "succeeded"
    [leaf] = bench.entries(Tag.HOLD_PLACED)
    [hold] = bench.authority.holds.all()
    assert (leaf["kind"], leaf["name"], leaf["expires_at"]) == ("mandate", "m-1", hold.expires_at)
    assert hold.by == "rule:refusal-quota"


async def test_it_ends_when_it_says_and_not_before():
    bench = await flooding()
    [hold] = bench.authority.holds.all()
    bench.clock.advance((hold.expires_at - bench.clock.now()) / 1000 - 1)
    assert await code_of(bench.act()) == "held.mandate"
    bench.clock.advance(1)
    assert await code_of(bench.act()) == "succeeded"
    assert held(bench) == []


@pytest.mark.requirement("SAME-21")
async def test_it_survives_a_restart_with_its_end_and_its_code():
    bench = await flooding()
    assert await code_of(bench.act()) == "held.mandate"
    bench = again(bench)
    assert held(bench) == [FIRST]
    assert await code_of(bench.act()) == "held.mandate"
    assert await code_of(bench.act(mandate="m-3")) == "succeeded"
    bench.clock.advance(61)
    assert await code_of(bench.act()) == "succeeded"


async def test_as_many_more_under_others_hold_the_agent_and_no_entry_is_written_for_them():
    bench = await flooding()
    refusals = len(bench.entries(Tag.REFUSAL))
    ends = [await code_of(bench.refund(HUGE, mandate="m-3")) for _ in range(4)]
    assert ends == ["refund-never"] * 3 + ["held.agent"]
    assert set(held(bench)) == {FIRST, AGENT}
    assert len(bench.entries(Tag.REFUSAL)) == refusals == 3


async def test_refusals_under_several_mandates_hold_the_agent():
    bench = await ruled(limits=LIMITS)
    await bench.issue("m-3", calls_max=100_000)
    for mandate in ("m-1", "m-3", "m-1"):
        await code_of(bench.refund(HUGE, mandate=mandate))
    assert held(bench) == [AGENT]
    assert await code_of(bench.act()) == "held.agent"
    assert await code_of(again(bench).act()) == "held.agent"


async def test_people_lift_it_and_the_agent_has_its_whole_quota_again():
    bench = await flooding()
    [hold] = bench.authority.holds.all()
    assert (await lift(bench, hold, "bob")).lifted_at
    assert await code_of(bench.act()) == "succeeded"
    ends = [await code_of(bench.refund(HUGE)) for _ in range(4)]
    assert ends == ["refund-never"] * 3 + ["held.mandate"]

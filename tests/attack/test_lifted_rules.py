"""After a lift a stop rule counts from nothing again: what was refused before it is done with, also under the hold."""

from __future__ import annotations

import pytest

from answerable.core.ledger.tags import Tag
from answerable.errors import Refused
from answerable.flows.policy.place_triggered_holds import place_triggered_holds
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.builders import Bench
from tests.worlds.hold import lift
from tests.worlds.rule import again, code_of, denied, rule, ruled

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("FULLDISK-06")]
HUGE = 10**9


async def held_and_refused_on(bench: Bench) -> None:
    """Too much, held, and as much again that no hold is asked about, since it is refused before."""
    while True:
        if (await code_of(bench.refund(HUGE))).startswith("held."):
            break
        await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters)
    for _ in range(3):
        with pytest.raises(Refused) as raised:
            await bench.act("no_such_tool")
        assert not raised.value.code.startswith("held.")


async def lifted(bench: Bench) -> None:
    for hold in [one for one in bench.authority.holds.all() if not one.lifted_at]:
        assert (await lift(bench, hold, "bob")).lifted_at


async def ends(bench: Bench, count: int) -> list[str]:
    found = []
    for _ in range(count):
        found.append(await code_of(bench.refund(HUGE)))
        await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters)
    return found


@pytest.mark.parametrize("start", ["none", "kept", "from the log"])
async def test_what_was_refused_before_the_lift_trips_nothing_after_it(start):
    bench = await ruled(denied(limit=3))
    await held_and_refused_on(bench)
    await lifted(bench)
    if start != "none":
        bench = again(bench, forgetting=start == "from the log")
    fired = len(bench.entries(Tag.RULE_FIRED))
    assert await ends(bench, 3) == ["refund-never"] * 3
    assert len(bench.entries(Tag.RULE_FIRED)) == fired
    # What came after the lift counts as ever.
    assert (await ends(bench, 2))[-1] == "held.agent"
    [*_, last] = bench.entries(Tag.RULE_FIRED)
    [entry] = [one.index for one in bench.recorder.ledger.replay() if one.tag == Tag.HOLD_LIFTED]
    assert min(last["entries"]) > entry


async def test_a_lifted_flood_of_refusals_does_not_trip_at_the_next_refusal():
    limits = WalkLimits(refusals_recorded_max=3, refusals_window_ms=600_000)
    bench = await ruled(rule("flood", "refusal_flood"), limits=limits)
    assert (await ends(bench, 6))[-1] == "held.mandate"
    await lifted(bench)
    assert await ends(bench, 2) == ["refund-never"] * 2

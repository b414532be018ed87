"""What a stop rule would have held of what is in the ledger."""

from __future__ import annotations

import pytest

from answerable.core.containment.hold import holdable
from answerable.errors import Malformed, Refused
from answerable.flows.apply_registry import apply_registry
from answerable.flows.simulate_rule import simulate_rule
from answerable.testing.builders import Bench, bench_documents
from tests.rule_world import HUGE, code_of, denied, retried, rule, ruled

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("RULE-09")]


async def lived() -> Bench:
    """A bench without rules in which scout was denied five times, and read three times after that."""
    bench = await ruled()
    for _ in range(5):
        await code_of(bench.refund(HUGE))
        bench.clock.advance(60)
    for _ in range(3):
        await code_of(bench.act(arguments={"case": "77"}))
    await code_of(bench.act(mandate="m-2", agent="rover"))
    return bench


async def test_it_says_what_would_have_been_held_by_which_entry_and_what_that_would_have_stopped():
    bench = await lived()
    size = bench.walk.ledger.size
    await apply_registry(bench.walk, [denied(3, dryRun=True)], by="operator")
    found = await simulate_rule(bench.walk, "denials")
    [firing] = found.firings
    refusals = [one["index"] for one in bench.entries() if one["tag"] == 5]
    assert (firing.what, firing.owner, firing.value) == (holdable("agent", "scout"), "scout", 4)
    assert firing.index == refusals[3]
    assert firing.stopped == 3
    assert found.end == found.size == bench.walk.ledger.size
    # Nothing was counted, held or written for it.
    assert bench.walk.ledger.size == size + 1
    assert [*bench.walk.holds.all()] == []


async def test_what_would_have_ended_by_itself_is_held_again_and_a_grace_that_calms_down_is_none():
    bench = await lived()
    await apply_registry(bench.walk, [denied(0, expiresSeconds=90)], by="operator")
    assert len((await simulate_rule(bench.walk, "denials")).firings) == 3
    await apply_registry(bench.walk, [denied(1, within="1m", graceSeconds=600)], by="operator")
    assert (await simulate_rule(bench.walk, "denials")).firings == []
    await apply_registry(bench.walk, [denied(2, within="10m", graceSeconds=60)], by="operator")
    [firing] = (await simulate_rule(bench.walk, "denials")).firings
    # As much as there was when the grace was over; the fourth denial came right then.
    assert firing.value == 3


async def test_since_leaves_out_what_was_too_much_before_and_counts_what_is_inside_the_window():
    bench = await lived()
    await apply_registry(bench.walk, [denied(3), retried(2)], by="operator")
    late = bench.clock.now() - 30_000
    assert (await simulate_rule(bench.walk, "denials", since=late)).firings == []
    [loop] = (await simulate_rule(bench.walk, "loops", since=late)).firings
    assert (loop.owner, loop.value) == ("scout", 3)
    # By the fifth denial four more are in the window, though they were before.
    [firing] = (await simulate_rule(bench.walk, "denials", since=bench.clock.now() - 61_000)).firings
    assert firing.value == 5


async def test_what_is_not_there_or_in_no_entry_is_said():
    bench = await Bench().registered([*bench_documents(), rule("flood", "refusal_flood")])
    with pytest.raises(Malformed, match="there is no stop rule `x`"):
        await simulate_rule(bench.walk, "x")
    with pytest.raises(Refused) as raised:
        await simulate_rule(bench.walk, "flood")
    assert raised.value.code == "stop_rule.not_simulated"

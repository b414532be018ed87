"""An agent that changes a little what people said no to, and asks again."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.core.ledger.tags import Tag
from answerable.errors import Refused
from answerable.flows.counters.trigger_rules import rules_now
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.builders import Bench
from tests.worlds.rule import again, code_of, rule, ruled

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("S19-02")]

LIMITS = WalkLimits(approvals_pending_per_agent_max=300)


def variations(limit: int = 2, **spec: Any) -> dict[str, Any]:
    return rule("asks-again", "denied_variation", **{"limit": limit, "within": "1h", **spec})


async def denied(bench: Bench, amount: int, **how: Any) -> None:
    asked = (await bench.refund(amount, **how)).approval
    assert asked is not None
    bench.clock.advance(1)
    await bench.answer(asked, verdict="deny", comment="no")
    bench.clock.advance(1)


async def is_held(bench: Bench, **how: Any) -> bool:
    return (await code_of(bench.act(**how))).startswith("held.")


@pytest.mark.parametrize("over", ["agent", "mandate"])
async def test_after_three_noes_to_variations_of_a_call_the_agent_stands_still(over: str):
    bench = await ruled(variations(over=over), limits=LIMITS)
    for amount in (6_000, 6_001):
        await denied(bench, amount)
        assert not await is_held(bench)
    await denied(bench, 6_002)
    assert await is_held(bench)
    with pytest.raises(Refused) as told:
        await bench.refund(6_003)
    assert told.value.code == f"held.{over}"
    assert not await is_held(bench, mandate="m-2", agent="rover")


async def test_no_to_many_that_waited_together_is_one_no():
    bench = await ruled(variations(), limits=LIMITS)
    asked = [(await bench.refund(6_000 + number)).approval for number in range(8)]
    for one in asked:
        assert one is not None
        bench.clock.advance(1)
        await bench.answer(one, verdict="deny")
    assert not await is_held(bench)
    bench.clock.advance(1)
    await denied(bench, 6_100)
    assert not await is_held(bench)
    await denied(bench, 6_101)
    assert await is_held(bench)


@pytest.mark.parametrize("restarts", [False, True])
async def test_who_always_asks_the_next_one_before_the_no_to_the_last_is_counted_all_the_same(restarts: bool):
    bench = await ruled(variations(), limits=LIMITS)
    waiting = (await bench.refund(6_000)).approval
    for number in range(1, 8):
        bench.clock.advance(1)
        following = None if await is_held(bench) else (await bench.refund(6_000 + number)).approval
        bench.clock.advance(1)
        if following is None:
            break
        assert waiting is not None
        await bench.answer(waiting, verdict="deny")
        waiting = following
        if restarts:
            entropy = bench.walk.entropy
            bench = again(bench, forgetting=number % 2 == 0)
            bench.walk.entropy = bench.recorder.entropy = entropy
    assert await is_held(bench)


async def test_a_no_counts_although_the_clock_was_set_back():
    bench = await ruled(variations(), limits=LIMITS)
    bench.clock.advance(600)
    await denied(bench, 6_000)
    bench.clock.jump(-300)
    for amount in (6_001, 6_002):
        await denied(bench, amount)
    assert await is_held(bench)


async def test_noes_to_other_capabilities_long_ago_or_followed_by_a_yes_to_another_do_not_add_up():
    bench = await ruled(variations(), limits=LIMITS)
    await denied(bench, 6_000)
    await denied(bench, 6_001)
    bench.clock.advance(7_200)
    await bench.issue("m-3", calls_max=100)
    await denied(bench, 6_002, mandate="m-3")
    assert not await is_held(bench, mandate="m-3")
    asked = (await bench.refund(60_000, mandate="m-3")).approval
    assert asked is not None
    await bench.answer(asked, by="bob")
    assert not await is_held(bench, mandate="m-3"), "a yes of one of two is none"


async def test_what_people_denied_counts_after_a_restart_and_a_lost_memory():
    bench = await ruled(variations(), limits=LIMITS)
    await denied(bench, 6_000)
    await denied(bench, 6_001)
    for forgetting in (False, True):
        bench = again(bench, forgetting=forgetting)
        (counted,) = [
            counter
            for found, counter in rules_now(bench.authority.registry, bench.counters.stop_rules)
            if found.name == "asks-again"
        ]
        assert counted is not None
        assert counted.value("scout", "", "crm.refund", bench.clock.now()) == 2
    await denied(bench, 6_002)
    assert await is_held(bench)
    assert len(bench.entries(Tag.APPROVAL_ANSWER)) == 3

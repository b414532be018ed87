"""Laws of stop rules: whatever agents do, a rule only ever takes away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from answerable.flows.policy.place_triggered_holds import place_triggered_holds
from answerable.testing.builders import Bench
from tests.probes.example_counts import examples
from tests.worlds.rule import HUGE, act_as, code_of, denied, retried, rule, ruled

INSTANCE = "spiffe://example.org/agent/scout/one"
STEPS = st.lists(
    st.sampled_from(["read", "other", "refund", "denied", "as sub-agent", "rover", "place", "later", "back"]),
    max_size=14,
)
RULES = st.lists(
    st.sampled_from([
        denied(1), denied(0, holds="server"), denied(1, dryRun=True), denied(0, graceSeconds=5),
        retried(1), retried(0, over="mandate", holds="tool"), retried(1, over="instance", holds="instance"),
        rule("canary", "canary", canary={"capabilities": ["crm.refund"]}, expiresSeconds=5),
    ]),
    min_size=1, max_size=4, unique_by=lambda one: one["metadata"]["name"],
)  # fmt: skip


async def done(bench: Bench, steps: list[str]) -> list[str]:
    ends: list[str] = []
    for step in steps:
        match step:
            case "place":
                await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters)
            case "later":
                bench.clock.advance(6)
            case "back":
                bench.clock.jump(-1)
            case _:
                ends.append(await code_of(_acting(bench, step)))
    return ends


def _acting(bench: Bench, step: str) -> Any:
    match step:
        case "read":
            return bench.act()
        case "other":
            return bench.act(arguments={"case": "2"})
        case "refund":
            return bench.refund(1)
        case "denied":
            return bench.refund(HUGE)
        case "rover":
            return bench.act(mandate="m-2", agent="rover")
    return act_as(bench, f"{INSTANCE}/sub-1")


@pytest.mark.requirement("RULE-08")
@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rules=RULES, steps=STEPS)
def test_with_rules_each_action_ends_as_without_them_or_is_stopped(
    rules: list[dict[str, Any]], steps: list[str]
) -> None:
    async def both() -> tuple[list[str], list[str], Bench, Bench]:
        free, bound = await ruled(), await ruled(*rules)
        return await done(free, steps), await done(bound, steps), free, bound

    without, within, free, bound = asyncio.run(both())
    for alone, stopped in zip(without, within, strict=True):
        assert stopped == alone or stopped.startswith("held.") or stopped == "not_started"
    assert len(bound.upstream.effects) <= len(free.upstream.effects)
    assert bound.upstream.violations == []
    dry = all(one["spec"].get("dryRun") for one in rules)
    assert not dry or within == without

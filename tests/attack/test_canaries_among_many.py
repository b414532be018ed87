"""A canary among questions that are alike, answered with one signature over many."""

from __future__ import annotations

import pytest

from answerable.core.ledger.tags import Tag
from answerable.flows.approval.send_attention_check import asked_canary
from answerable.flows.state.walk_limits import WalkLimits
from tests.worlds.alike import answer_all, asked_many, paying_bench
from tests.worlds.parts import to_govern

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("OVERSIGHT-04")]


async def among_many():
    """Twelve payments that are alike, and one of ten times the amount that nobody asked for."""
    limits = WalkLimits(
        canaries_per_day=1, approvals_pending_per_agent_max=300, asked_per_agent_per_hour_max=300
    )
    bench = await paying_bench(limits=limits)
    waiting = await asked_many(bench, 12)
    _, pattern = bench.asking.canaries.patterns[-1]
    canary = await asked_canary(*to_govern(bench.walk), pattern, bench.clock.now())
    assert canary is not None
    return bench, waiting, canary


async def test_a_yes_to_many_that_are_alike_covers_no_canary():
    bench, waiting, canary = await among_many()
    after = await answer_all(bench, [*waiting, canary])
    assert {one.id for one in after.answered} == {one.id for one in waiting}
    assert bench.authority.approvals.find(canary.id) == canary
    assert bench.entries(Tag.CANARY_TOLD) == []


async def test_a_no_to_many_catches_the_canary_among_them():
    bench, waiting, canary = await among_many()
    await answer_all(bench, [*waiting, canary], verdict="deny")
    found = bench.authority.approvals.find(canary.id)
    assert (found.state, found.canary.ended) == ("void", "caught")
    assert [one["approval"] for one in bench.entries(Tag.CANARY_TOLD)] == [canary.id]
    answered = {one["approval"] for one in bench.entries(Tag.APPROVAL_ANSWER)}
    assert answered == {one.id for one in waiting}

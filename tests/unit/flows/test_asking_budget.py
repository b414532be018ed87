"""People are asked so often and no more, and say yes no faster than they can look."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from answerable.core.approval.approval import Approval
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.builders import POLICIES, Bench, bench_documents
from answerable.testing.soft_passkey import SoftPasskey
from answerable.wiring.settings import parse_settings
from tests.attack.test_passkey_answers import answered
from tests.worlds.alike import answer_all, asked_many, pay, paying_bench
from tests.worlds.passkey import enrolled

pytestmark = pytest.mark.anyio


async def refused_pay(bench: Bench, number: int) -> str:
    with pytest.raises(Refused) as told:
        await pay(bench, number)
    assert told.value.code == "approval.too_many"
    assert told.value.entry_index is not None, "it is on record"
    return told.value.reasons[0]


@pytest.mark.requirement("GROUP-07")
@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("approvals_pending_per_agent_max", "already wait for approval"),
        ("approvals_pending_per_group_max", "already wait for approvers"),
        ("asked_per_agent_per_hour_max", "about 3 actions of this agent within an hour"),
        ("asked_per_group_per_hour_max", "approvers were asked 3 times within an hour"),
    ],
)
async def test_past_each_bound_nobody_is_asked_and_the_agent_is_told_which(limit: str, said: str):
    limits: dict[str, Any] = {limit: 3}
    bench = await paying_bench(limits=WalkLimits(**limits))
    await asked_many(bench, 3)
    assert said in await refused_pay(bench, 3)
    assert (await pay(bench, 1)).state == "pending", "the same again is no new question"
    assert len(bench.entries(Tag.APPROVAL_ASKED)) == 3


@pytest.mark.requirement("GROUP-07")
@pytest.mark.parametrize("limit", ["asked_per_agent_per_hour_max", "asked_per_group_per_hour_max"])
async def test_answered_or_not_a_question_counts_for_an_hour(limit: str):
    limits: dict[str, Any] = {limit: 3}
    bench = await paying_bench(limits=WalkLimits(**limits))
    for one in await asked_many(bench, 3):
        await bench.answer(one, verdict="deny")
    await refused_pay(bench, 3)
    bench.clock.advance(3601)
    await bench.issue("m-pay2", calls_max=100)
    await bench.issue("m-1")
    assert (await bench.refund(6_000)).approval is not None


@pytest.mark.requirement("GROUP-07")
async def test_a_full_group_is_passed_over_where_another_may_answer_instead():
    policies = POLICIES.replace('"approvers:1"', '"approvers|sales:1"')
    limits = WalkLimits(approvals_pending_per_group_max=3)
    bench = await Bench(limits=limits).registered(bench_documents(policies))
    await bench.issue()
    for amount in range(3):
        assert (await bench.refund(60_000 + amount)).approval is not None
    with pytest.raises(Refused) as told:
        await bench.refund(6_000)
    assert told.value.code == "approval.too_many"


@pytest.mark.requirement("GROUP-08")
async def test_who_has_said_yes_too_often_within_an_hour_can_only_say_no():
    bench = await paying_bench(limits=WalkLimits(answers_per_hour_max=3))
    waiting = await asked_many(bench, 8)
    for one in waiting[:3]:
        await bench.answer(one)
    with pytest.raises(Refused) as told:
        await bench.answer(waiting[3])
    assert told.value.code == "approval.too_fast"
    with pytest.raises(Refused):
        await answer_all(bench, waiting[3:])
    assert (await bench.answer(waiting[3], verdict="deny")).state == "denied"
    assert (await bench.answer(waiting[4], by="carol")).state == "approved"
    bench.clock.advance(3_601)
    await bench.issue("m-1")
    asked = (await bench.refund(6_000)).approval
    assert asked is not None
    assert (await bench.answer(asked)).state == "approved"


@pytest.mark.requirement("GROUP-08")
@pytest.mark.parametrize("many", [1, 4])
async def test_who_says_yes_to_all_at_the_same_moment_says_it_no_more_often(many: int):
    bench = await paying_bench(limits=WalkLimits(answers_per_hour_max=3, approvals_pending_per_agent_max=40))
    waiting = await asked_many(bench, 32)
    lists = [waiting[at : at + many] for at in range(0, 32, many)]

    async def said(some: list[Approval]) -> str:
        try:
            await (bench.answer(some[0]) if many == 1 else answer_all(bench, some))
        except Refused as fault:
            return fault.code
        return "said"

    assert Counter(await asyncio.gather(*map(said, lists))) == {
        "said": 3,
        "approval.too_fast": len(lists) - 3,
    }
    states = [one.state for one in bench.authority.approvals.all(pending_only=False, now=bench.clock.now())]
    assert states.count("approved") == 3 * many


@pytest.mark.requirement("GROUP-08")
async def test_one_signature_over_many_counts_once():
    bench = await paying_bench(limits=WalkLimits(answers_per_hour_max=2))
    waiting = await asked_many(bench, 12)
    assert len((await answer_all(bench, waiting[:6])).answered) == 6
    assert len((await answer_all(bench, waiting[6:])).answered) == 6
    fresh = [await pay(bench, number) for number in range(20, 24)]
    with pytest.raises(Refused) as told:
        await answer_all(bench, fresh)
    assert told.value.code == "approval.too_fast"
    assert len((await answer_all(bench, fresh, verdict="deny")).answered) == 4


@pytest.mark.requirement("GROUP-08")
async def test_a_yes_waits_until_the_card_was_before_somebody_long_enough_for_its_tier():
    bench = await paying_bench(limits=WalkLimits(look_seconds_min=(0, 0, 5, 9)))
    device = SoftPasskey(seed="bob")
    await enrolled(bench, "bob", device)
    (one, other, third) = await asked_many(bench, 3)
    for answer in (bench.answer(one), answered(bench, one, device)):
        with pytest.raises(Refused) as told:
            await answer
        assert told.value.code == "approval.too_soon"
    bench.asking.openings.look([one.id], "bob", bench.clock.now())
    bench.clock.advance(5)
    assert (await answered(bench, one, device)).state == "approved"
    with pytest.raises(Refused):
        await answered(bench, other, device)
    bench.asking.openings.look([other.id], "carol", bench.clock.now())
    bench.clock.advance(60)
    with pytest.raises(Refused):
        await answered(bench, other, device)
    assert (await answered(bench, other, device, verdict="deny")).state == "denied"
    assert third.state == "pending"


@pytest.mark.requirement("GROUP-08")
async def test_of_many_each_must_have_been_looked_at_long_enough():
    bench = await paying_bench(limits=WalkLimits(look_seconds_min=(0, 0, 5, 9)))
    waiting = await asked_many(bench, 4)
    soon = await answer_all(bench, waiting)
    assert not soon.answered
    assert all("open for 0 s" in why for why in soon.left_out.values())
    for one in waiting[:3]:
        bench.asking.openings.look([one.id], "bob", bench.clock.now())
    bench.clock.advance(6)
    after = await answer_all(bench, waiting)
    assert len(after.answered) == 3
    assert list(after.left_out) == [waiting[3].id]


@pytest.mark.requirement("GROUP-08")
@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("look_seconds_min = [0, 0, 3, 10]", ""),
        ("look_seconds_min = [0, 0, 3]", "walk.look_seconds_min"),
        ("look_seconds_min = [0, 0, 3, 151]", "walk.look_seconds_min"),
        ("look_seconds_min = [0, 0, -1, 3]", "walk.look_seconds_min"),
        ('look_seconds_min = ["0", "0", "0", "0"]', "walk.look_seconds_min"),
        ("batch_tier_max = 3", "walk.batch_tier_max"),
        ("batch_items_max = 201", "walk.batch_items_max"),
    ],
)
def test_settings_of_answers_are_bounded(tmp_path: Path, line: str, fault: str):
    settings, faults = parse_settings(f"[walk]\n{line}\n".encode(), data=tmp_path)
    assert [one.key for one in faults] == ([fault] if fault else [])
    assert (settings is None) == bool(fault)

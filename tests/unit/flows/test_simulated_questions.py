"""How many more or fewer questions people would be asked."""

from __future__ import annotations

import pytest

from answerable.core.decision.asked_of_people import NAMES_MAX, OTHERS, Questions, at_tier
from answerable.errors import Malformed, Refused
from answerable.flows.policy.simulate_policy import simulate_policy
from answerable.testing.builders import POLICIES, Bench, bench_documents, with_trackers
from tests.worlds.parts import to_simulate
from tests.worlds.publication import house

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("OVERSIGHT-08")]

BY_TIER = """
@id("read") permit (principal, action == Action::"crm.read", resource);
@id("refund") permit (principal, action == Action::"crm.refund", resource);
@id("high-tiers") @reason("high tiers wait") @approve("approvers:1")
forbid (principal, action, resource) when { context.capability.tier >= 2 };
"""


async def worked(policies: str = POLICIES) -> Bench:
    """Two reads, a small refund, one that waited, was approved and ran, and one that nobody gets."""
    bench = await Bench().registered(bench_documents(policies))
    await bench.issue()
    await bench.act()
    await bench.act()
    await bench.refund(100)
    asked = (await bench.refund(6_000)).approval
    if asked is not None:
        await bench.answer(asked)
        await bench.refund(6_000)
    return bench


async def test_fewer_questions_are_told_by_tier_rule_and_group():
    bench = await worked()
    fewer = POLICIES.replace("amount > 5000", "amount > 9000")
    found = (await simulate_policy(*to_simulate(bench.walk), [house(fewer)])).questions
    assert (found.before.count, found.before.tiers, found.before.groups) == (1, {"3": 1}, {"approvers": 1})
    assert found.before.rules == {"refund-large": 1}
    assert (found.after.count, found.after.tiers, found.after.rules, found.after.groups) == (0, {}, {}, {})
    assert found.tasks == 1


async def test_more_questions_are_told_and_what_ran_by_a_yes_counts_once():
    bench = await worked()
    more = POLICIES.replace("amount > 5000", "amount > 50")
    found = (await simulate_policy(*to_simulate(bench.walk), [house(more)])).questions
    assert (found.before.count, found.after.count) == (1, 2)
    assert found.after.groups == {"approvers": 2}
    assert found.first_at <= found.last_at


async def test_the_same_policies_ask_the_same():
    bench = await worked()
    found = (await simulate_policy(*to_simulate(bench.walk), [house(POLICIES)])).questions
    assert found.before == found.after


async def test_another_tier_of_a_capability_is_tried_with_the_policies_in_force():
    bench = await worked(BY_TIER)
    page = await simulate_policy(*to_simulate(bench.walk), [], tiers={"crm.read": 2})
    before, after = page.questions.before, page.questions.after
    assert (before.tiers, after.tiers) == ({"3": 2}, {"3": 2, "2": 2})
    assert page.tally.changes == {"allow→defer": 2}
    lower = (await simulate_policy(*to_simulate(bench.walk), [], tiers={"crm.refund": 1})).questions
    assert (lower.before.count, lower.after.count) == (2, 0)
    assert bench.authority.registry.current.capabilities["crm.read"].tier == 1, "nothing has changed"


@pytest.mark.parametrize("tiers", [{"crm.none": 1}, {"crm.read": 4}, {"crm.read": -1}, {"crm.read": "2"}])
async def test_what_is_no_tier_of_a_capability_is_refused(tiers):
    bench = await worked()
    with pytest.raises(Malformed) as fault:
        await simulate_policy(*to_simulate(bench.walk), [], tiers=tiers)
    assert fault.value.code == "simulation.tier"


async def test_of_what_cannot_be_told_nothing_counts_on_either_side():
    bench = await worked()
    unknown = (
        POLICIES + '@id("many") forbid (principal, action, resource) when { context.history.calls > 9 };'
    )
    with pytest.raises((Malformed, Refused)):
        await simulate_policy(*to_simulate(bench.walk), [house(unknown)])
    counting = with_trackers(house(unknown), [{"name": "calls", "over": "mandate"}])
    page = await simulate_policy(*to_simulate(bench.walk), [counting])
    assert page.tally.asked == 0
    assert (page.questions.before.count, page.questions.after.count) == (0, 0)


def test_what_is_no_question_is_left_as_it_is():
    for text in (b"{", b"[]", b'{"action": 7}', b'{"action": {"id": "crm.read"}}'):
        assert at_tier(text, {"crm.read": 2}) == text


def test_past_their_limit_names_are_counted_together():
    asked = Questions()
    for number in range(NAMES_MAX + 5):
        asked.add(tier="1", rules=[f"r-{number}"], groups=["g"])
    assert (len(asked.rules), asked.rules[OTHERS]) == (NAMES_MAX + 1, 5)

"""What a stop rule would have held of what is in the ledger."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from answerable.core.action.outcome import Outcome
from answerable.core.containment.hold import holdable
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed, Unavailable
from answerable.flows.policy.place_triggered_holds import place_triggered_holds
from answerable.flows.policy.simulate_rule import RuleTrial, simulate_rule
from answerable.flows.recovery.settle_open_intents import record_counted_refusals
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.builders import Bench, bench_documents, with_trackers
from answerable.testing.registers import fresh_subject_keys
from tests.worlds.asked_index import IndexAtHand
from tests.worlds.parts import NO_SEARCHES, to_apply
from tests.worlds.rule import HUGE, code_of, denied, retried, rule, ruled

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("RULE-09")]


async def tried(bench: Bench, name: str, *, since: int = 0) -> RuleTrial:
    searches = IndexAtHand(bench.recorder)
    return await simulate_rule(
        searches, bench.recorder, bench.authority, bench.walk.limits, name, since=since
    )


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
    size = bench.recorder.ledger.size
    await apply_registry(*to_apply(bench.walk), [denied(3, dryRun=True)], by="operator")
    found = await tried(bench, "denials")
    [firing] = found.firings
    refusals = [one["index"] for one in bench.entries() if one["tag"] == 5]
    assert (firing.what, firing.owner, firing.value) == (holdable("agent", "scout"), "scout", 4)
    assert firing.index == refusals[3]
    assert firing.stopped == 3
    assert found.end == found.size == bench.recorder.ledger.size
    # Nothing was counted, held or written for it.
    assert bench.recorder.ledger.size == size + 1
    assert [*bench.authority.holds.all()] == []


@pytest.mark.requirement("RULE-10")
async def test_what_was_not_started_would_have_been_no_retry():
    bench = await ruled()
    bench.upstream.answer = lambda _: Outcome(status="not_started", detail="the server cannot be reached")
    for _ in range(5):
        await code_of(bench.act())
    await apply_registry(*to_apply(bench.walk), [retried(2, dryRun=True)], by="operator")
    assert (await tried(bench, "loops")).firings == ()
    bench.upstream.answer = lambda _: Outcome(status="succeeded", result={})
    for _ in range(3):
        await code_of(bench.act())
    [firing] = (await tried(bench, "loops")).firings
    assert firing.value == 3


async def test_what_would_have_ended_by_itself_is_held_again_and_a_grace_that_calms_down_is_none():
    bench = await lived()
    await apply_registry(*to_apply(bench.walk), [denied(0, expiresSeconds=90)], by="operator")
    assert len((await tried(bench, "denials")).firings) == 3
    await apply_registry(*to_apply(bench.walk), [denied(1, within="1m", graceSeconds=600)], by="operator")
    assert (await tried(bench, "denials")).firings == ()
    await apply_registry(*to_apply(bench.walk), [denied(2, within="10m", graceSeconds=60)], by="operator")
    [firing] = (await tried(bench, "denials")).firings
    # As much as there was when the grace was over; the fourth denial came right then.
    assert firing.value == 3


async def test_a_simulated_hold_stops_nothing_from_the_moment_on_at_which_it_expires():
    bench = await lived()
    await apply_registry(*to_apply(bench.walk), [denied(0, expiresSeconds=60)], by="operator")
    found = await tried(bench, "denials")
    # The denials are a minute apart.
    assert [firing.stopped for firing in found.firings] == [0, 0, 0, 0, 0]


async def test_since_leaves_out_what_was_too_much_before_and_counts_what_is_inside_the_window():
    bench = await lived()
    await apply_registry(*to_apply(bench.walk), [denied(3), retried(2)], by="operator")
    late = bench.clock.now() - 30_000
    assert (
        await tried(
            bench,
            "denials",
            since=late,
        )
    ).firings == ()
    [loop] = (
        await tried(
            bench,
            "loops",
            since=late,
        )
    ).firings
    assert (loop.owner, loop.value) == ("scout", 3)
    # By the fifth denial four more are in the window, though they were before.
    [firing] = (
        await tried(
            bench,
            "denials",
            since=bench.clock.now() - 61_000,
        )
    ).firings
    assert firing.value == 5


def refunds(**how: Any) -> dict[str, Any]:
    return {"name": "refunds", "over": "agent", "within": "1h", "capabilities": ["crm.refund"], **how}


async def tracked(tracker: dict[str, Any], **spec: Any) -> Bench:
    """A bench with a tracker and a rule on it that runs dry."""
    documents = [with_trackers(one, [tracker]) for one in bench_documents()]
    return await ruled(rule("spree", "tracker", tracker="refunds", dryRun=True, **spec), documents=documents)


async def test_a_tracker_is_tried_by_what_the_log_says_as_it_counts_when_it_is_in_force():
    bench = await tracked(refunds(), limit=3, holds="capability")
    for _ in range(5):
        assert await code_of(bench.refund(1)) == "succeeded"
    await code_of(bench.act())
    await code_of(bench.refund(1, mandate="m-2", agent="rover"))
    found = await tried(bench, "spree")
    [firing] = found.firings
    # What it was about would have stood still for everybody.
    assert (firing.what, firing.owner, firing.value) == (holdable("capability", "crm.refund"), "scout", 4)
    assert (firing.stopped, found.unknown) == (2, 0)
    await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters)
    [said] = bench.entries(Tag.RULE_FIRED)
    # In force, it says the same number at the same place.
    assert (said["fired"], said["value"], said["owner"]) == ("would_hold", 4, "scout")
    intents = [one for one in bench.entries(Tag.INTENT) if one["capability"] == "crm.refund"]
    assert [one["index"] for one in intents][3] == firing.index
    assert [*bench.authority.holds.all()] == []


async def test_a_tracker_of_one_resource_is_tried_by_the_resource():
    bench = await tracked(refunds(sameResource=True), limit=2, graceSeconds=10)
    for number in range(6):
        await code_of(bench.act("refund", {"case": f"c-{number}", "amount": 1}))
    assert (await tried(bench, "spree")).firings == ()
    for _ in range(2):
        await code_of(bench.act("refund", {"case": "c-1", "amount": 1}))
    bench.clock.advance(5)
    await code_of(bench.act("refund", {"case": "c-2", "amount": 1}))
    bench.clock.advance(6)
    # Whatever else was done meanwhile.
    await code_of(bench.act())
    [firing] = (await tried(bench, "spree")).firings
    assert (firing.what, firing.value, firing.stopped) == (holdable("agent", "scout"), 3, 1)


async def test_what_would_have_stood_still_counts_for_no_tracker_neither_when_it_ended():
    bench = await tracked(
        {"name": "refunds", "over": "agent", "within": "1h", "event": "succeeded", "capabilities": ["crm.refund"]},
        limit=2, expiresSeconds=60,
    )  # fmt: skip
    for _ in range(5):
        await code_of(bench.refund(1))
    bench.clock.advance(61)
    await code_of(bench.act())
    values = [one.value for one in (await tried(bench, "spree")).firings]
    assert values == [3, 3]


async def test_what_was_erased_is_said_to_be_unknown():
    bench = await tracked(refunds(sameResource=True), limit=2)
    for _ in range(4):
        await code_of(bench.act("refund", {"case": "c-1", "amount": 1}))
    before = await tried(bench, "spree")
    assert (len(before.firings), before.unknown) == (1, 0)
    bench.recorder.subject_keys = fresh_subject_keys("others")
    after = await tried(bench, "spree")
    assert (after.firings, after.unknown > 0) == ((), True)


async def test_a_flood_of_refusals_is_tried_by_the_quota_and_by_what_was_only_counted():
    limits = WalkLimits(refusals_recorded_max=3, refusals_window_ms=60_000)
    bench = await ruled(rule("flood", "refusal_flood", dryRun=True), limits=limits)
    for _ in range(5):
        await code_of(bench.refund(HUGE))
    refusals = [one["index"] for one in bench.entries(Tag.REFUSAL)]
    bench.clock.advance(61)
    await code_of(bench.act())
    [firing] = (await tried(bench, "flood")).firings
    assert (firing.what, firing.index, firing.value) == (holdable("agent", "scout"), refusals[-1], 1)
    assert firing.stopped == 1
    # With a larger quota now, the two that were only counted then say so.
    bench.walk.limits = bench.asking.limits = replace(limits, refusals_recorded_max=100)
    await record_counted_refusals(bench.recorder, bench.asking.passkeys, bench.counters.quota)
    [late] = (await tried(bench, "flood")).firings
    assert late.index == bench.entries(Tag.REFUSALS_COUNTED)[0]["index"]


async def test_what_is_not_there_is_said():
    bench = await Bench().registered([*bench_documents(), rule("flood", "refusal_flood")])
    with pytest.raises(Malformed, match="there is no stop rule `x`"):
        await tried(bench, "x")
    assert (await tried(bench, "flood")).firings == ()


async def test_what_only_the_registers_tell_is_joined_before_the_answer():
    limits = WalkLimits(approvals_pending_per_agent_max=300)
    bench = await ruled(denied(1), limits=limits)
    for amount in (6_000, 6_001, 6_002):
        asked = (await bench.refund(amount)).approval
        assert asked is not None
        await bench.answer(asked, verdict="deny", comment="no")
        bench.clock.advance(1)
    for _ in range(4):
        await code_of(bench.refund(HUGE))
    again = rule("asks-again", "denied_variation", limit=2, within="1h")
    await apply_registry(*to_apply(bench.walk), [denied(1), again], by="operator")
    [asks] = (await tried(bench, "asks-again")).firings
    assert (asks.what, asks.value) == (holdable("agent", "scout"), 3)
    # Who was refused for a hold that is known was refused for that alone.
    assert [hold.what for hold in bench.authority.holds.all()] == [holdable("agent", "scout")]
    [denials] = (await tried(bench, "denials")).firings
    assert denials.value == 2


async def test_where_no_index_is_kept_that_is_said():
    bench = await ruled(denied(1))
    with pytest.raises(Unavailable) as off:
        await simulate_rule(NO_SEARCHES, bench.recorder, bench.authority, bench.walk.limits, "denials")
    assert off.value.code == "search.off"

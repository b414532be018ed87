"""Which events count, when, and for whom."""

from __future__ import annotations

import asyncio

import pytest

from answerable.core.action.outcome import Outcome
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unavailable
from answerable.flows.counters import count_history
from answerable.flows.recovery.settle_open_intents import settle_open_intents
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.builders import POLICIES, Bench, bench_documents
from answerable.testing.fault_injection import Trouble, TroubledLedger
from tests.worlds.history import PERMIT, REFUNDS, ready, restarted, seen
from tests.worlds.parts import to_settle

pytestmark = pytest.mark.anyio

EVENTS = ("started", "succeeded", "failed", "denied", "approved")


def each(**more):
    return [{"name": event, "over": "mandate", "event": event, **more} for event in EVENTS]


def counts(**more):
    return dict.fromkeys(EVENTS, 0) | more


@pytest.mark.requirement("HIST-08")
async def test_an_action_is_started_when_its_intent_is_written_and_succeeds_when_its_outcome_is():
    bench = await ready(*each())
    during = []

    async def look(_):
        during.append(seen(bench))

    bench.upstream.after = look
    await bench.act()
    assert during == [counts(started=1)]
    assert seen(bench) == counts(started=1, succeeded=1)
    assert seen(restarted(bench, keep_register=False)) == seen(bench)


@pytest.mark.requirement("HIST-08")
@pytest.mark.parametrize("waits", [1, 2, 3])
async def test_who_waits_for_room_in_the_log_counts_before_anybody_else_is_decided(waits):
    once_more = '@id("no") forbid (principal, action, resource) when { context.history.started > 1 };'
    bench = await ready(*each(), policies=PERMIT + once_more)
    await bench.act()
    faults = iter(["busy"] * waits)
    bench.recorder.ledger = TroubledLedger(
        bench.recorder.ledger,
        Trouble(lambda _n, method: next(faults, None) if method == "ledger.submit" else None),
    )
    found = await asyncio.gather(*(bench.act() for _ in range(4)), return_exceptions=True)
    assert sorted(isinstance(one, Refused) for one in found) == [False, True, True, True]
    assert seen(bench) == counts(started=2, succeeded=2, denied=3)


@pytest.mark.requirement("HIST-08")
async def test_what_failed_and_what_nobody_knows_the_end_of_is_failed_and_what_was_not_started_is_neither():
    bench = await ready(*each())
    bench.upstream.answer = lambda _: Outcome(status="failed")
    await bench.act()
    assert seen(bench) == counts(started=1, failed=1)
    bench.upstream.answer = lambda _: Outcome(status="indeterminate")
    await bench.act()
    assert seen(bench) == counts(started=2, failed=2)

    raw = bench.recorder.ledger

    def close(_number, method):
        if method == "ledger.submit":
            bench.authority.mandates.close("m-1")

    bench.recorder.ledger = TroubledLedger(raw, Trouble(close))
    answer = await bench.act()
    assert answer.outcome.status == "not_started"
    assert seen(bench) == counts(started=3, failed=2)


@pytest.mark.requirement("HIST-08")
async def test_a_true_end_that_turns_up_later_counts_beside_the_unknown_one():
    bench = await ready(*each())

    async def late(_):
        bench.clock.advance(200)
        assert await settle_open_intents(*to_settle(bench.walk)) == 1
        assert seen(bench) == counts(started=1, failed=1)

    bench.upstream.after = late
    await bench.act()
    assert seen(bench) == counts(started=1, failed=1, succeeded=1)
    assert seen(restarted(bench, keep_register=False)) == seen(bench)


@pytest.mark.requirement("HIST-08")
async def test_refusals_of_known_capabilities_are_denied_by_policy_and_by_our_own_rules_alike():
    policies = PERMIT + '@id("no") forbid (principal, action == Action::"crm.refund", resource);'
    bench = await ready(*each(), policies=policies)
    with pytest.raises(Refused):
        await bench.refund(1)
    assert seen(bench) == counts(denied=1)
    # Nobody knows what these would have been.
    for target, arguments in (("delete_everything", {}), ("refund", {"case": "4711", "amount": "much"})):
        with pytest.raises(Refused):
            await bench.act(target, arguments)
    assert seen(bench) == counts(denied=1)
    await close_mandate(bench.recorder, bench.authority, bench.live, "m-1", by="alice")
    with pytest.raises(Refused):
        await bench.act()
    assert seen(bench) == counts(denied=2)
    assert [entry["capability"] for entry in bench.entries(Tag.REFUSAL)] == ["crm.refund", "", "", "crm.read"]


@pytest.mark.requirement("HIST-08")
async def test_a_refusal_that_gets_no_entry_counts_all_the_same_while_the_process_lives():
    policies = PERMIT + '@id("no") forbid (principal, action == Action::"crm.refund", resource);'
    bench = await ready(*each(), policies=policies, limits=WalkLimits(refusals_recorded_max=5))
    raw = bench.recorder.ledger
    bench.recorder.ledger = TroubledLedger(
        raw, Trouble(lambda _n, method: "full" if "submit" in method else None)
    )
    with pytest.raises(Unavailable):
        await bench.refund(1)
    assert seen(bench) == counts(denied=1)


@pytest.mark.requirement("HIST-08")
async def test_a_deferral_is_approved_when_the_last_person_has_answered_and_not_before():
    bench = await ready(*each(), policies=POLICIES)
    waiting = (await bench.refund(60_000)).approval
    assert seen(bench) == counts()
    await bench.answer(waiting, by="bob")
    assert seen(bench) == counts()
    await bench.answer(bench.authority.approvals.find(waiting.id), by="carol")
    assert seen(bench) == counts(approved=1)
    denied = (await bench.refund(6_000)).approval
    await bench.answer(denied, by="bob", verdict="deny")
    assert seen(bench) == counts(approved=1)
    await bench.refund(60_000)
    assert seen(bench) == counts(approved=1, started=1, succeeded=1)
    assert seen(restarted(bench, keep_register=False)) == seen(bench)


@pytest.mark.requirement("HIST-08")
@pytest.mark.parametrize(
    ("match", "found"),
    [
        ({"capabilities": ["crm.refund"]}, 1),
        ({"kinds": ["read"]}, 2),
        ({"kinds": ["read", "pay"]}, 3),
        ({"kinds": ["delete"]}, 0),
        ({"servers": ["crm"], "sensitivities": ["confidential"]}, 3),
        ({"sensitivities": ["public"]}, 0),
        ({"environments": ["production"], "kinds": ["pay"]}, 1),
        ({"sameResource": True}, 2),
        ({"sameResource": True, "kinds": ["read"]}, 1),
        ({"capabilities": ["crm.refund"], "sum": "amount"}, 250),
        ({"capabilities": ["crm.refund"], "sum": "amount", "sameResource": True}, 250),
    ],
)
async def test_only_what_a_tracker_names_counts_and_on_the_resource_if_it_says_so(match, found):
    bench = await ready({"name": "t", "over": "agent", "within": "10m", **match})
    await bench.act(arguments={"case": "4711"})
    await bench.act(arguments={"case": "4712"})
    await bench.refund(250)
    assert seen(bench, "t") == found
    assert seen(restarted(bench, keep_register=False), "t") == found
    assert seen(bench, "t", agent="rover") == 0
    bench.clock.advance(700)
    assert seen(bench, "t") == 0


@pytest.mark.requirement("HIST-08")
async def test_policy_lets_a_refund_through_once_somebody_approved_one_on_the_same_case():
    tracker = {
        "name": "approved_here",
        "over": "agent",
        "within": "1h",
        "event": "approved",
        "sameResource": True,
    }
    policies = PERMIT + (
        '@id("first") @approve("approvers:1") forbid (principal, action == Action::"crm.refund", resource) '
        "when { context.history.approved_here == 0 };"
    )
    bench = await ready(tracker, policies=policies)
    waiting = (await bench.refund(10)).approval
    assert waiting is not None
    await bench.answer(waiting)
    assert (await bench.refund(20)).outcome is not None
    answer = await bench.act("refund", {"case": "4712", "amount": 20})
    assert answer.approval is not None


@pytest.mark.requirement("HIST-08")
async def test_policy_stops_who_fails_and_who_walks_the_steps_of_a_theft():
    theft = {
        "name": "theft",
        "over": "agent",
        "within": "1h",
        "steps": [
            {"event": "denied", "kinds": ["pay"]},
            {"event": "succeeded", "kinds": ["read"]},
            {"event": "started", "kinds": ["read"]},
        ],
    }
    failures = {"name": "failures", "over": "agent", "within": "1h", "event": "failed"}
    policies = PERMIT + (
        '@id("never") forbid (principal, action == Action::"crm.refund", resource);'
        '@id("failed") forbid (principal, action, resource) when { context.history.failures > 1 };'
        '@id("theft") forbid (principal, action, resource) when { context.history.theft == 3 };'
    )
    bench = await ready(theft, failures, policies=policies)
    await bench.act()
    await bench.act()
    assert seen(bench, "theft") == 0, "in another order it is none"
    with pytest.raises(Refused):
        await bench.refund(1)
    await bench.act()
    assert seen(bench, "theft") == 2
    await bench.act()
    assert seen(bench, "theft") == 3
    with pytest.raises(Refused) as told:
        await bench.act()
    assert told.value.code == "theft"
    assert seen(restarted(bench, keep_register=False), "theft") == 3
    bench = await ready(theft, failures, policies=policies)
    bench.upstream.answer = lambda _: Outcome(status="failed")
    await bench.act()
    await bench.act()
    with pytest.raises(Refused) as told:
        await bench.act()
    assert told.value.code == "failed"


async def test_where_nothing_is_declared_nothing_is_counted(monkeypatch):
    bench = await Bench().registered(bench_documents())
    await bench.issue()
    monkeypatch.setattr(count_history, "Event", None)
    monkeypatch.setattr(count_history, "resource_key", None)
    await bench.act()
    waiting = (await bench.refund(6_000)).approval
    await bench.answer(waiting)
    await bench.refund(6_000)
    with pytest.raises(Refused):
        await bench.refund(2_000_000)


@pytest.mark.requirement("HIST-03")
async def test_an_action_counts_only_once_it_is_reserved():
    """A deferral and a refusal start nothing; what was approved starts when it runs."""
    bench = await ready(REFUNDS, policies=POLICIES)
    waiting = (await bench.refund(6_000)).approval
    assert seen(bench, "refunds") == 0
    await bench.answer(waiting)
    await bench.refund(6_000)
    assert seen(bench, "refunds") == 1

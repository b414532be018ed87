"""Whoever wants its history to be forgotten: racing, opening anew, restarting, losing files, setting the clock."""

from __future__ import annotations

import asyncio
from dataclasses import replace as changed

import msgspec
import pytest

from answerable.adapters.sqlite import SqliteHistoryRegister
from answerable.core.action.outcome import Outcome
from answerable.core.identity.workload.evidence import CallerIdentity
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unavailable
from answerable.flows.recovery.settle_open_intents import settle_open_intents
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.state.walk_limits import WalkLimits
from answerable.flows.walk.govern_action import govern_action
from answerable.testing.fault_injection import Trouble, TroubledLedger
from answerable.testing.registers import fresh
from tests.worlds.history import ONE_REFUND, PERMIT, REFUNDS, documents_with, kept, ready, restarted, seen
from tests.worlds.parts import to_apply, to_govern, to_settle
from tests.worlds.walk import striking

pytestmark = pytest.mark.anyio


async def refused(doing, source):
    with pytest.raises(Refused) as told:
        await doing
    assert told.value.code == source
    return told.value


@pytest.mark.requirement("HIST-03")
async def test_a_thousand_callers_at_once_do_not_pass_a_limit_of_one():
    bench = await ready(REFUNDS, policies=ONE_REFUND, limits=WalkLimits(refusals_recorded_max=1_000))
    ends = await asyncio.gather(*(bench.refund(1) for _ in range(1_000)), return_exceptions=True)
    assert len(bench.upstream.effects) == 1
    assert sum(isinstance(end, Refused) for end in ends) == 999
    assert {end.code for end in ends if isinstance(end, Refused)} == {"one"}
    assert len(bench.entries(Tag.INTENT)) == 1


@pytest.mark.requirement("HIST-03")
async def test_callers_who_race_past_a_sum_exceed_it_by_no_unit_under_several_mandates():
    tracker = {**REFUNDS, "name": "paid", "sum": "amount"}
    policies = PERMIT + (
        '@id("most") forbid (principal, action == Action::"crm.refund", resource) '
        "when { context.history.paid + context.arguments.amount > 100 };"
    )
    bench = await ready(tracker, policies=policies)
    await bench.issue("m-2", calls_max=1_000)
    doing = [bench.refund(amount, mandate=f"m-{1 + amount % 2}") for amount in (7, 8, 9, 30) * 60]
    await asyncio.gather(*doing, return_exceptions=True)
    paid = [effect.arguments["amount"] for effect in bench.upstream.effects]
    assert 100 - 6 <= sum(paid) <= 100
    assert seen(bench, "paid") == sum(paid)


@pytest.mark.requirement("HIST-03")
async def test_what_gets_no_intent_was_not_started_however_it_was_prevented():
    bench = await ready(REFUNDS, policies=ONE_REFUND)
    raw = bench.recorder.ledger
    for fault in ("undone", "full"):
        bench.recorder.ledger = TroubledLedger(raw, striking("ledger.submit", fault))
        with pytest.raises(Unavailable):
            await bench.refund(1)
        assert seen(bench, "refunds") == 0
    bench.recorder.ledger = raw
    await bench.refund(1)
    assert seen(bench, "refunds") == 1
    await refused(bench.refund(1), "one")


@pytest.mark.requirement("HIST-03")
async def test_who_leaves_at_any_moment_leaves_what_the_ledger_tells():
    for turns in range(25):
        bench = await ready(REFUNDS)
        task = asyncio.create_task(bench.refund(1))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert seen(bench, "refunds") == len(bench.entries(Tag.INTENT))
        assert seen(restarted(bench), "refunds") == seen(bench, "refunds")


@pytest.mark.requirement("HIST-07")
@pytest.mark.parametrize(
    "anew",
    [
        {"proof": "session_mac", "binding": "session-2", "sequence": 1},
        {"proof": "mtls", "binding": "certificate-2"},
        {"binding": "another key of scout"},
        {
            "identity": CallerIdentity(
                source="spiffe", grade="kernel", instance="spiffe://example.org/agent/scout/2"
            )
        },
    ],
)
async def test_nothing_that_an_agent_opens_anew_makes_it_forget(anew):
    bench = await ready(REFUNDS, policies=ONE_REFUND)
    await bench.refund(1)
    action, caller = bench.request("refund", {"case": "4712", "amount": 1})
    other = (
        msgspec.structs.replace(caller, **anew)
        if isinstance(caller, msgspec.Struct)
        else changed(caller, **anew)
    )
    await refused(govern_action(*to_govern(bench.walk), action, other), "one")
    assert len(bench.upstream.effects) == 1


@pytest.mark.requirement("HIST-07")
async def test_a_second_mandate_forgets_nothing_over_its_agent_and_begins_anew_over_itself():
    bench = await ready(REFUNDS, {**REFUNDS, "name": "here", "over": "mandate"}, policies=ONE_REFUND)
    await bench.refund(1)
    await bench.issue("m-2", principal="bob")
    await refused(bench.refund(1, mandate="m-2"), "one")
    assert (seen(bench, "here"), seen(bench, "here", mandate="m-2")) == (1, 0)
    await bench.issue("m-3", agent="rover")
    await bench.refund(1, mandate="m-3", agent="rover")
    assert seen(bench, agent="rover", mandate="m-3") == {"refunds": 1, "here": 1}


@pytest.mark.requirement("HIST-06")
@pytest.mark.parametrize("keeps", ["nothing", "before", "all", "no file"])
async def test_a_restart_in_the_middle_forgets_nothing_whatever_was_kept(keeps):
    failures = {"name": "failures", "over": "mandate", "event": "failed"}
    bench = await ready(REFUNDS, failures, policies=ONE_REFUND)
    if keeps in ("before", "no file"):
        await kept(bench)
    bench.upstream.answer = lambda _: Outcome(status="failed")
    await bench.refund(1)
    if keeps == "all":
        await kept(bench)
    bench = restarted(bench, keep_register=keeps != "no file")
    assert seen(bench) == {"refunds": 1, "failures": 1}
    await refused(bench.refund(1), "one")
    # And again, from what the second process kept.
    await kept(bench)
    assert seen(restarted(bench)) == {"refunds": 1, "failures": 1}


@pytest.mark.requirement("HIST-06")
async def test_a_process_that_ends_between_intent_and_outcome_leaves_it_started_and_then_failed():
    ends = [
        {"name": event, "over": "agent", "within": "1h", "event": event}
        for event in ("started", "failed", "succeeded")
    ]
    bench = await ready(*ends)
    raw = bench.recorder.ledger

    async def die(_):
        bench.recorder.ledger = TroubledLedger(raw, Trouble(lambda _number, _method: "undone"))

    bench.upstream.after = die
    with pytest.raises(Unavailable):
        await bench.refund(1)
    bench = restarted(bench, ledger=raw)
    assert seen(bench) == {"started": 1, "failed": 0, "succeeded": 0}
    bench.clock.advance(600)
    assert await settle_open_intents(*to_settle(bench.walk), overdue_only=False) == 1
    assert seen(bench) == {"started": 1, "failed": 1, "succeeded": 0}
    assert seen(restarted(bench)) == {"started": 1, "failed": 1, "succeeded": 0}


@pytest.mark.requirement("HIST-02")
async def test_an_agent_wins_nothing_from_a_clock_that_is_set_back_nor_from_a_restart_then():
    bench = await ready(REFUNDS, policies=ONE_REFUND)
    bench.clock.advance(7_200)
    # The mandate must hold at the earlier time, too.
    await bench.refund(1, mandate=(await bench.issue("m-2", seconds=86_400)).id)
    bench.clock.jump(-1_800)
    assert seen(bench, "refunds") == 1
    assert seen(restarted(bench), "refunds") == 1
    await kept(bench)
    assert seen(restarted(bench), "refunds") == 1
    bench.clock.advance(5_500)
    assert seen(bench, "refunds") == 0


@pytest.mark.requirement("HIST-02")
async def test_after_a_clock_that_was_years_ahead_a_restart_ends_what_it_left():
    bench = await ready(REFUNDS)
    bench.clock.jump(400 * 86_400)
    await bench.refund(1, mandate=(await bench.issue("m-2")).id)
    bench.clock.jump(-400 * 86_400)
    await kept(bench)
    bench.clock.advance(3_700)
    assert seen(bench, "refunds") == 1, "counted until a time that is years ahead"
    both = restarted(bench), restarted(bench, keep_register=False)
    assert [seen(again, "refunds") for again in both] == [1, 1]
    bench.clock.advance(3_700)
    assert [seen(again, "refunds") for again in both] == [0, 0]


@pytest.mark.requirement("HIST-05")
async def test_an_agent_that_fills_its_history_up_is_refused_and_nobody_else(monkeypatch):
    monkeypatch.setattr("answerable.core.decision.counter.RESOURCES_MAX", 20)
    tracker = {"name": "cases", "over": "agent", "within": "1h", "sameResource": True}
    bench = await ready(tracker)
    await bench.issue("m-2", agent="rover")
    for case in range(21):
        await bench.act(arguments={"case": str(case)})
    told = await refused(bench.act(arguments={"case": "0"}), "facts.unknown")
    assert "tracker `cases` has no value" in told.reasons[0]
    await bench.act(mandate="m-2", agent="rover")
    bench.clock.advance(3_700)
    await bench.issue("m-3")
    await bench.act(arguments={"case": "0"}, mandate="m-3")


@pytest.mark.requirement("HIST-05")
async def test_erasing_a_subject_forgets_nothing_that_a_limit_needs():
    summed = {**REFUNDS, "name": "paid", "sum": "amount"}
    on_case = {**REFUNDS, "name": "on_case", "sameResource": True}
    bench = await ready(REFUNDS)
    await bench.refund(5)
    bench.recorder.subject_keys.find = lambda _key_id: None
    assert seen(restarted(bench, register=fresh(SqliteHistoryRegister)), "refunds") == 1
    await bench.issue("m-2", agent="rover")
    for tracker, case in ((summed, "4711"), (on_case, "4712")):
        await apply_registry(*to_apply(bench.walk), documents_with(REFUNDS, tracker), by="operator")
        told = await refused(bench.act(arguments={"case": case}), "facts.unknown")
        assert "can no longer be read" in told.reasons[0]
        await bench.act(mandate="m-2", agent="rover")
    bench.clock.advance(3_700)
    await bench.issue("m-4")
    await bench.act(mandate="m-4")

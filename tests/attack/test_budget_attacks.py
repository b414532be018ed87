"""Attacks on budgets: spending more than was given, by splitting, racing, lying, leaving and crashing."""

from __future__ import annotations

import asyncio

import anyio
import anyio.lowlevel
import msgspec
import pytest

from answerable.adapters.sqlite import SqliteMandateRegister
from answerable.core.action.outcome import Outcome
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import MandateId
from answerable.errors import Refused, Unavailable
from answerable.flows.recovery.settle_open_intents import recover_from_ledger, settle_open_intents
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.testing.builders import Bench, bench_documents, with_spending
from answerable.testing.fault_injection import Trouble, TroubledLedger
from answerable.testing.registers import fresh
from tests.worlds.parts import to_settle

pytestmark = pytest.mark.anyio

M1 = MandateId("m-1")
PERMIT = '@id("all") permit (principal, action, resource);'


async def ready(policies: str = PERMIT, **budgets: int) -> Bench:
    """A mandate with these budgets; `money_eur` stands for `money:EUR`."""
    documents = [with_spending(one) for one in bench_documents(policies)]
    bench = await Bench().registered(documents)
    named = {"money:EUR" if name == "money_eur" else name: limit for name, limit in budgets.items()}
    await bench.issue(calls_max=1_000, budgets=tuple(sorted(named.items())))
    bench.upstream.answer = lambda _: Outcome(status="succeeded", result={"ok": True})
    return bench


async def reopened(bench: Bench) -> Bench:
    """A new process over the same log and registers; what was only in memory is gone."""
    walk, mandates = bench.walk, fresh(SqliteMandateRegister)
    for mandate in walk.authority.mandates.all():
        mandates.add(mandate)
    origin = walk.recorder.ledger.origin
    mandates.keep_used(
        origin, walk.authority.mandates.kept_used(origin), walk.authority.mandates.used_up_to(origin)
    )
    again = Bench(
        clock=bench.clock,
        ledger=walk.recorder.ledger,
        registry=walk.authority.registry,
        mandates=mandates,
        approvals=walk.authority.approvals,
        subject_keys=walk.recorder.subject_keys,
    )
    recover_from_ledger(*to_settle(again.walk))
    return again


def used(bench: Bench, name: str = "money:EUR") -> int:
    return bench.authority.mandates.used(M1).get(name, 0)


async def refused(bench: Bench, amount: object, code: str = "mandate.budget_spent") -> Refused:
    with pytest.raises(Refused) as told:
        await bench.act("refund", {"case": "4711", "amount": amount})
    assert told.value.code == code
    return told.value


@pytest.mark.requirement("BUDGET-01")
async def test_spend_split_over_many_small_calls_ends_at_the_same_sum():
    bench = await ready(money_eur=1_000)
    for _ in range(33):
        await bench.refund(30)
    told = await refused(bench, 30)
    assert "has 10 left, and this action may take 30" in told.message
    await bench.refund(10)
    await refused(bench, 1)
    assert used(bench) == 1_000
    assert len(bench.upstream.effects) == 34
    assert [entry["code"] for entry in bench.entries(Tag.REFUSAL)] == ["mandate.budget_spent"] * 2


@pytest.mark.requirement("BUDGET-01")
async def test_callers_who_race_for_the_last_of_several_budgets_exceed_none_by_one_unit():
    bench = await ready(money_eur=700, rows=400, bytes=100_000)
    amounts = (7, 11, 3) * 100
    ends = await asyncio.gather(*(bench.refund(amount) for amount in amounts), return_exceptions=True)
    done = [amount for amount, end in zip(amounts, ends, strict=True) if not isinstance(end, Exception)]
    assert {end.code for end in ends if isinstance(end, Refused)} == {"mandate.budget_spent"}
    assert (used(bench), used(bench, "rows")) == (sum(done), 9 * len(done))
    assert used(bench) <= 700
    assert 400 - 9 < used(bench, "rows") <= 400
    # What is left is spent to the last unit and not beyond.
    assert len(bench.upstream.effects) == len(done)


@pytest.mark.requirement("BUDGET-02")
@pytest.mark.parametrize("amount", [-5, -(2**53 - 1), 2**53 - 1])
async def test_a_negative_amount_wins_nothing_back_and_a_huge_one_wraps_nothing_around(amount):
    bench = await ready(money_eur=100)
    await bench.refund(60)
    await refused(bench, amount, "budget.amount" if amount < 0 else "mandate.budget_spent")
    assert used(bench) == 60
    await refused(bench, 41)
    await bench.refund(40)


@pytest.mark.requirement("BUDGET-02")
async def test_what_a_capability_does_not_declare_is_refused_and_recorded_before_anything_happens():
    bench = await Bench().registered(bench_documents(PERMIT))
    await bench.issue(budgets=(("rows", 5),))
    with pytest.raises(Refused) as told:
        await bench.act()
    assert told.value.code == "budget.undeclared"
    assert "rows" in told.value.reasons[0]
    [refusal] = bench.entries(Tag.REFUSAL)
    assert told.value.entry_index == refusal["index"]
    assert not bench.upstream.effects
    assert not bench.authority.mandates.used(M1)


@pytest.mark.requirement("BUDGET-02")
async def test_a_refused_or_deferred_action_takes_nothing_and_people_are_not_asked_for_what_could_not_be_done():
    policies = (
        PERMIT
        + '@id("ask") @approve("approvers:1") forbid (principal, action == Action::"crm.refund", resource);'
    )
    bench = await ready(policies, money_eur=100)
    waiting = (await bench.refund(90)).approval
    assert waiting is not None
    assert used(bench) == 0
    await refused(bench, 101)
    assert len(bench.entries(Tag.APPROVAL_ASKED)) == 1
    await bench.answer(waiting)
    await bench.refund(90)
    assert used(bench) == 90
    # Approved before, and the money is gone meanwhile: the approval is not burned for nothing.
    bench = await ready(policies, money_eur=100)
    first, second = [(await bench.refund(amount)).approval for amount in (60, 50)]
    for one in (first, second):
        assert one is not None
        await bench.answer(one)
    await bench.refund(60)
    await refused(bench, 50)
    kept = bench.authority.approvals.find(second.id)
    assert kept is not None
    assert kept.state == "approved"


@pytest.mark.requirement("BUDGET-03")
async def test_what_failed_gives_its_money_back_and_keeps_its_call():
    bench = await ready(money_eur=100, bytes=5_000, rows=50)
    bench.upstream.answer = lambda _: Outcome(
        status="failed", result={"isError": True, "structuredContent": {"rows": 2}}
    )
    for _ in range(3):
        await bench.refund(100)
    size = len(msgspec.json.encode({"isError": True, "structuredContent": {"rows": 2}}))
    assert bench.authority.mandates.used(M1) == {"calls": 3, "money:EUR": 0, "bytes": 3 * size, "rows": 6}
    [first, *_] = bench.entries(Tag.OUTCOME)
    assert first["returned"] == {"bytes": 1_200 - size, "money:EUR": 100, "rows": 7}
    [intent, *_] = bench.entries(Tag.INTENT)
    assert intent["reserved"] == {"bytes": 1_200, "calls": 1, "money:EUR": 100, "rows": 9}


@pytest.mark.requirement("BUDGET-03")
async def test_what_is_not_known_gives_nothing_back_and_a_truth_that_turns_up_later_gives_back_once():
    bench = await ready(money_eur=100)

    async def late(_: object) -> None:
        bench.clock.advance(200)
        assert await settle_open_intents(*to_settle(bench.walk)) == 1
        assert used(bench) == 100
        await refused(bench, 1)

    bench.upstream.after = late
    bench.upstream.answer = lambda _: Outcome(status="failed")
    await bench.refund(100)
    assert (used(bench), bench.authority.mandates.calls_used(M1)) == (0, 1)
    await settle_open_intents(*to_settle(bench.walk))
    assert used(bench) == 0
    [settled] = bench.entries(Tag.INDETERMINATE)
    assert "returned" not in settled
    [correction] = bench.entries(Tag.OUTCOME)
    assert correction["returned"] == {"money:EUR": 100}


@pytest.mark.requirement("BUDGET-03")
async def test_a_mandate_closed_before_the_start_gives_all_of_it_back():
    bench = await ready(money_eur=100)
    await bench.refund(0)
    raw = bench.recorder.ledger

    def close(_number: int, method: str) -> None:
        if method == "ledger.submit":
            bench.authority.mandates.close(M1)

    bench.recorder.ledger = TroubledLedger(raw, Trouble(close))
    answer = await bench.refund(100)
    assert answer.outcome is not None
    assert answer.outcome.status == "not_started"
    assert bench.authority.mandates.used(M1) == {"calls": 1, "money:EUR": 0}, (
        "the first call is the one that was made"
    )
    [_, outcome] = bench.entries(Tag.OUTCOME)
    assert outcome["returned"] == {"calls": 1, "money:EUR": 100}


@pytest.mark.requirement("BUDGET-03")
async def test_an_answer_larger_than_was_reserved_counts_and_ends_the_budget():
    bench = await ready(bytes=3_000)
    bench.upstream.answer = lambda _: Outcome(status="succeeded", result={"text": "x" * 10_000})
    answer = await bench.act()
    assert answer.outcome is not None
    assert answer.outcome.result is not None
    size = len(msgspec.json.encode(answer.outcome.result))
    assert used(bench, "bytes") == size
    [outcome] = bench.entries(Tag.OUTCOME)
    assert outcome["overrun"] == {"bytes": size - 1_200}
    with pytest.raises(Refused) as told:
        await bench.act()
    assert told.value.code == "mandate.budget_spent"
    assert (await reopened(bench)).walk.authority.mandates.used(M1)["bytes"] == size


@pytest.mark.requirement("BUDGET-03")
async def test_time_that_a_call_did_not_take_is_given_back():
    bench = await ready(wall_ms=130_000)

    async def slow(_: object) -> None:
        bench.clock.advance(7.5)

    bench.upstream.after = slow
    await bench.act()
    assert used(bench, "wall_ms") == 7_500
    [intent] = bench.entries(Tag.INTENT)
    assert intent["reserved"] == {"calls": 1, "wall_ms": 60_000}, (
        "the longest that a call of this server may take"
    )


@pytest.mark.requirement("BUDGET-04")
async def test_a_process_that_ends_between_intent_and_outcome_keeps_the_reservation():
    bench = await ready(money_eur=100)

    async def die(_: object) -> None:
        # What the process does after this is not seen by the next one.
        bench.recorder.ledger = TroubledLedger(bench.recorder.ledger, Trouble(lambda _n, method: "undone"))

    raw = bench.recorder.ledger
    bench.upstream.after = die
    with pytest.raises(Unavailable):
        await bench.refund(70)
    bench.recorder.ledger = raw
    again = await reopened(bench)
    assert used(again) == 70
    await settle_open_intents(*to_settle(again.walk), overdue_only=False)
    assert used(again) == 70
    await refused(again, 31)
    await again.refund(30)
    assert used(await reopened(again)) == 100


@pytest.mark.requirement("BUDGET-04")
async def test_an_outcome_after_the_kept_counts_of_its_intent_gives_back_at_the_next_start():
    bench = await ready(money_eur=100)

    async def keep(_: object) -> None:
        bench.recorder.intents.keep_budgets()

    bench.upstream.after = keep
    bench.upstream.answer = lambda _: Outcome(status="failed")
    await bench.refund(80)
    kept = bench.authority.mandates.kept_used(bench.recorder.ledger.origin)
    assert kept[M1] == {"calls": 1, "money:EUR": 80}
    assert used(await reopened(bench)) == 0
    bench.recorder.intents.keep_budgets()
    assert bench.authority.mandates.kept_used(bench.recorder.ledger.origin)[M1] == {
        "calls": 1,
        "money:EUR": 0,
    }
    assert used(await reopened(bench)) == 0


@pytest.mark.requirement("BUDGET-03")
async def test_who_leaves_again_and_again_neither_wins_nor_loses_anything():
    for turns in range(30):
        bench = await ready(money_eur=100)
        task = asyncio.create_task(bench.refund(100))
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        happened = len(bench.upstream.effects)
        assert used(bench) == (100 if bench.entries(Tag.INDETERMINATE) or happened else 0)
        assert used(await reopened(bench)) == used(bench)


@pytest.mark.requirement("BUDGET-01")
async def test_closing_the_mandate_ends_what_is_left_of_it():
    bench = await ready(money_eur=100)
    await bench.refund(10)
    await close_mandate(bench.recorder, bench.authority, bench.live, M1, by="bob")
    await refused(bench, 1, "mandate.closed")

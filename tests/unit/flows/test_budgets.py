"""Budgets under racing callers, failures and restarts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from answerable.adapters.sqlite import SqliteMandateRegister
from answerable.core.ledger.answer import Answer
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import MandateId
from answerable.errors import Refused, Unavailable
from answerable.flows.recovery.settle_open_intents import recover_from_ledger
from answerable.testing.builders import Bench
from answerable.testing.fault_injection import Trouble, TroubledLedger
from answerable.testing.registers import fresh
from tests.worlds.parts import to_settle
from tests.worlds.walk import cited

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.testing.fault_injection import Fault

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("WALK-08")]

M1 = MandateId("m-1")


def restarted(bench: Bench) -> Bench:
    """A new process over the same log and registers; what was only in memory is gone."""
    mandates = fresh(SqliteMandateRegister)
    for mandate in bench.authority.mandates.all():
        mandates.add(mandate)
    walk = bench.walk
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


async def test_two_hundred_racing_callers_get_the_fifty_calls_of_the_budget_and_no_more():
    bench = await Bench().registered()
    await bench.issue(calls_max=50)
    answers = await asyncio.gather(*(bench.act() for _ in range(200)), return_exceptions=True)
    assert sum(isinstance(answer, Answer) for answer in answers) == 50
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert {one.code for one in refused} == {"mandate.budget_spent"}
    assert len(refused) == 150
    assert len(bench.entries(Tag.INTENT)) == len(bench.upstream.effects) == 50
    again = restarted(bench)
    assert again.walk.authority.mandates.calls_used(M1) == 50
    with pytest.raises(Refused) as told:
        await again.act()
    assert told.value.code == "mandate.budget_spent"


async def test_calls_whose_intent_was_not_written_are_given_back_even_among_racing_callers():
    bench = await Bench().registered()
    await bench.issue(calls_max=5)
    # The first caller waits for room and then finds the log full; the second one got call number 2 meanwhile.
    await cited(bench)
    faults: Iterator[Fault | None] = iter(["busy", "busy", None, "full"])
    raw = bench.recorder.ledger
    bench.recorder.ledger = TroubledLedger(
        raw, Trouble(lambda _n, method: next(faults, None) if method == "ledger.submit" else None)
    )
    first, second = await asyncio.gather(bench.act(), bench.act(), return_exceptions=True)
    assert isinstance(first, Unavailable)
    assert isinstance(second, Answer)
    bench.recorder.ledger = raw
    assert [entry["call"] for entry in bench.entries(Tag.INTENT)] == [2]
    assert bench.authority.mandates.calls_used(M1) == 1
    # The numbers that intents carry may have gaps; the count after a restart has none.
    assert restarted(bench).walk.authority.mandates.calls_used(M1) == 1
    for _ in range(4):
        await bench.act()
    with pytest.raises(Refused):
        await bench.act()
    assert restarted(bench).walk.authority.mandates.calls_used(M1) == 5


async def test_a_refused_deferred_or_unfit_action_takes_nothing_from_the_budget():
    bench = await Bench().registered()
    await bench.issue(calls_max=1)
    await bench.refund(6000)
    with pytest.raises(Refused):
        await bench.refund(2_000_000)
    with pytest.raises(Refused):
        await bench.act("refund", {"case": "4711"})
    assert bench.authority.mandates.calls_used(M1) == 0
    assert (await bench.act()).outcome is not None


async def test_budgets_of_two_mandates_of_one_agent_are_separate():
    bench = await Bench().registered()
    await bench.issue("m-1", calls_max=1)
    await bench.issue("m-2", calls_max=2)
    answers = await asyncio.gather(
        *(bench.act(mandate=name) for name in ("m-1", "m-2") for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(answer, Answer) for answer in answers) == 3
    assert [bench.authority.mandates.calls_used(MandateId(name)) for name in ("m-1", "m-2")] == [1, 2]

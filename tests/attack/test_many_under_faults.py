"""A disk, a process or a person that leaves in the middle of an answer to many: none of them is ever half answered."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from answerable.core.ledger.tags import Tag
from answerable.errors import Unavailable
from answerable.testing.fault_injection import FAULTS, Crash, Trouble, TroubledApprovals, TroubledLedger
from tests.attack.test_answering_many import states
from tests.worlds.alike import answer_all, asked_many, pay, paying_bench

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.approval import Approval
    from answerable.testing.builders import Bench
    from answerable.testing.fault_injection import Fault

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("GROUP-04")]

COUNT = 6


def striking(method: str, fault: Fault, *, at: int = 0) -> Trouble:
    """The call of this method with this number fails so."""
    seen = iter(range(1_000))
    return Trouble(lambda _n, called: fault if called == method and next(seen) == at else None)


async def each_runs_once(bench: Bench) -> None:
    for number in range(COUNT):
        assert (await pay_again(bench, number)).outcome is not None
    assert len(bench.upstream.effects) == COUNT


async def pay_again(bench: Bench, number: int) -> Any:
    arguments = {"invoice": f"INV-{number:04d}", "payee": "Acme GmbH", "amount": 100 + number % 50}
    return await bench.act("pay", arguments, mandate="m-pay")


def kept(bench: Bench, waiting: Sequence[Approval]) -> list[tuple[str, int]]:
    """State and answers of each."""
    found = [bench.authority.approvals.find(one.id) for one in waiting]
    return [(one.state, len(one.answers)) for one in found if one is not None]


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_register_that_fails_has_taken_all_of_the_answers_or_none(fault: Fault):
    bench = await paying_bench()
    waiting = await asked_many(bench, COUNT)
    plain = bench.authority.approvals
    trouble = striking("approvals.replace_many", fault)
    bench.authority.approvals = TroubledApprovals(plain, trouble)
    with pytest.raises((Unavailable, Crash)):
        await answer_all(bench, waiting)
    assert trouble.struck == [f"approvals.replace_many: {fault}"]
    bench.authority.approvals = plain
    took = fault in ("done", "crash_after")
    assert set(kept(bench, waiting)) == {("approved", 1) if took else ("pending", 0)}
    assert len(bench.entries(Tag.APPROVAL_ANSWER)) == COUNT, "each was on record before it could count"
    if not took:
        assert len((await answer_all(bench, waiting)).answered) == COUNT, "they are answered again"
    await each_runs_once(bench)


@pytest.mark.parametrize("at", range(COUNT))
@pytest.mark.parametrize("fault", ["crash_before", "crash_after"])
async def test_a_process_that_ends_while_they_are_written_down_leaves_each_answered_or_not(
    fault: Fault, at: int
):
    bench = await paying_bench()
    waiting = await asked_many(bench, COUNT)
    ledger, approvals = bench.recorder.ledger, bench.authority.approvals
    trouble = striking("ledger.submit", fault, at=at)
    bench.recorder.ledger = TroubledLedger(ledger, trouble)
    bench.authority.approvals = TroubledApprovals(approvals, trouble)
    with pytest.raises(BaseException) as told:
        await answer_all(bench, waiting)
    assert not isinstance(told.value, Exception), (
        "a dead process, or a group of it where several tasks find it so"
    )
    bench.recorder.ledger, bench.authority.approvals = ledger, approvals
    assert set(kept(bench, waiting)) == {("pending", 0)}
    assert len((await answer_all(bench, waiting)).answered) == COUNT
    await each_runs_once(bench)


async def test_of_answers_that_are_on_record_all_count_though_whoever_gave_them_has_left():
    bench = await paying_bench()
    waiting = await asked_many(bench, COUNT)
    plain = bench.recorder.ledger
    submitted = asyncio.Event()

    def plan(number: int, _method: str) -> None:
        if number == COUNT - 1:
            submitted.set()

    bench.recorder.ledger = TroubledLedger(plain, Trouble(plan), latency=lambda: 20)
    answering = asyncio.create_task(answer_all(bench, waiting))
    await submitted.wait()
    assert set(kept(bench, waiting)) == {("pending", 0)}, "none counts before it is on record"
    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
    bench.recorder.ledger = plain
    assert set(kept(bench, waiting)) == {("approved", 1)}
    assert not bench.asking.under_way.answering
    await each_runs_once(bench)


async def test_what_another_process_answered_at_that_moment_is_named_and_the_others_count():
    bench = await paying_bench()
    waiting = await asked_many(bench, COUNT)
    plain = bench.authority.approvals

    class Overtaken(TroubledApprovals):
        def replace_many(self, changes: Sequence[tuple[Approval, Approval]]) -> tuple[bool, ...]:
            assert plain.replace(replace(waiting[2], state="denied"), was=waiting[2])
            return plain.replace_many(changes)

    bench.authority.approvals = Overtaken(plain, Trouble(lambda _n, _method: None))
    after = await answer_all(bench, waiting)
    assert len(after.answered) == COUNT - 1
    assert list(after.left_out) == [waiting[2].id]
    assert "another answer" in after.left_out[waiting[2].id]
    bench.authority.approvals = plain
    assert states(bench, [waiting[2]]) == ["denied"]
    assert (await pay_again(bench, 2)).outcome is None


async def test_answers_to_two_lists_at_once_are_under_way_apart():
    bench = await paying_bench()
    waiting = [await pay(bench, number) for number in range(2 * COUNT)]
    one, other = await asyncio.gather(
        answer_all(bench, waiting[:COUNT]), answer_all(bench, waiting[COUNT:], by="carol")
    )
    assert (len(one.answered), len(other.answered)) == (COUNT, COUNT)
    assert not bench.asking.under_way.answering

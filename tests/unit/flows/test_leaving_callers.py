"""Callers who leave at any moment, by a cancelled scope or a cancelled task: what was begun is ended and recorded."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from anyio import CancelScope

from answerable.adapters.tlog_files.ledger import TlogFilesLedger
from answerable.adapters.tlog_files.settings import TlogFilesSettings
from answerable.core.identity.names.principal import AgentId
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unavailable
from answerable.flows.escalation.check_card import void
from answerable.flows.policy.publish_policy import waiting_proposals
from answerable.flows.recording.record_entry import record_entry
from answerable.flows.recovery.settle_open_intents import record_counted_refusals, settle_open_intents
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.walk.hide_tokens import INLINE_BYTES_MAX
from answerable.testing.builders import POLICIES, Bench, bench_documents, ledger_key
from answerable.testing.fault_injection import Trouble, TroubledLedger
from answerable.testing.invariants import Promises, broken_laws
from answerable.testing.samples import signing_key
from tests.worlds.obligation import SECRET, answers, bench_with, everything, obliging
from tests.worlds.parts import to_settle
from tests.worlds.publication import propose
from tests.worlds.walk import cited

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from answerable.testing.fault_injection import Fault
    from answerable.testing.recording_upstream import Effect

pytestmark = pytest.mark.anyio

LATENCY = 3
MOMENTS = range(16)


async def slow_bench(fault: Callable[[str], Fault | None] = lambda _: None) -> Bench:
    """A bench whose log takes some turns of the loop for every entry, and whose upstream takes some, too."""
    bench = await Bench().registered()
    await bench.issue()
    await cited(bench, "get_case", "refund")
    bench.recorder.ledger = TroubledLedger(
        bench.recorder.ledger, Trouble(lambda _, method: fault(method)), latency=lambda: LATENCY
    )
    bench.upstream.ledger = bench.recorder.ledger

    async def turns(_effect: Effect) -> None:
        for _ in range(3):
            await asyncio.sleep(0)

    bench.upstream.before = bench.upstream.after = turns
    return bench


async def leave_after(
    turns: int, doing: Callable[[], Awaitable[object]], *, natively: bool
) -> BaseException | None:
    """Start something and leave so many turns later; returns what came of it, None when it ended in order."""
    scope = CancelScope()

    async def in_scope() -> None:
        with scope:
            await doing()

    task = asyncio.create_task(in_scope())
    for _ in range(turns):
        await asyncio.sleep(0)
    if natively:
        task.cancel()
    else:
        scope.cancel()
    (ended,) = await asyncio.gather(task, return_exceptions=True)
    return ended


async def laws(bench: Bench) -> list[str]:
    """What is broken once all that was left open has been settled."""
    bench.clock.advance(200)
    await settle_open_intents(*to_settle(bench.walk))
    entries = list(bench.recorder.ledger.replay())
    return bench.upstream.violations + broken_laws(
        entries,
        bench.upstream.effects,
        bench.authority.mandates,
        subject_keys=bench.recorder.subject_keys,
        promises=Promises(),
        happened={},
    )


@pytest.mark.requirement("WALK-07", "WALK-03")
@pytest.mark.parametrize("natively", [False, True])
async def test_whenever_a_caller_leaves_the_intent_ends_and_nothing_happens_twice(natively: bool):
    ends = []
    for turns in MOMENTS:
        bench = await slow_bench()
        await leave_after(turns, bench.act, natively=natively)
        assert not bench.recorder.open_intents, "the walk itself ended it"
        ends += [entry["status"] for entry in bench.entries(Tag.OUTCOME, Tag.INDETERMINATE)]
        assert len(bench.upstream.effects) <= 1
        assert not await laws(bench)
    # All three honest ends were met: left before the start, in the middle, and too late to change anything.
    assert {"not_started", "indeterminate", "succeeded"} == set(ends)


@pytest.mark.requirement("WALK-07", "WALK-03")
async def test_a_task_cancelled_again_and_again_still_writes_its_outcome():
    for turns in MOMENTS:
        bench = await slow_bench()
        task = asyncio.create_task(bench.act())
        for _ in range(turns):
            await asyncio.sleep(0)
        for _ in range(10):
            task.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(task, return_exceptions=True)
        assert not bench.recorder.open_intents
        assert not await laws(bench)


@pytest.mark.requirement("WALK-07")
async def test_who_leaves_while_the_intent_is_written_has_nothing_performed():
    bench = await slow_bench()
    await leave_after(LATENCY, bench.act, natively=False)
    assert not bench.upstream.effects
    assert [entry["status"] for entry in bench.entries(Tag.OUTCOME)] == ["not_started"]


@pytest.mark.requirement("WALK-07", "WALK-03")
@pytest.mark.parametrize("busy", [1, 2])
async def test_a_task_that_ends_while_the_log_has_no_room_leaves_no_doubt(busy: int):
    for turns in range(1, 16):
        submits: list[str] = []

        def busy_once(method: str, submits: list[str] = submits) -> Fault | None:
            submits += [method] if method == "ledger.submit" else []
            return "busy" if method == "ledger.submit" and len(submits) == busy else None

        bench = await slow_bench(busy_once)
        await leave_after(turns, bench.act, natively=True)
        assert not bench.recorder.open_intents
        assert not await laws(bench)
        assert len(bench.entries(Tag.OUTCOME, Tag.INDETERMINATE)) == len(bench.entries(Tag.INTENT)) == 1


@pytest.mark.requirement("WALK-05")
@pytest.mark.parametrize("natively", [False, True])
async def test_a_caller_who_leaves_early_does_not_escape_the_record_of_his_refusal(natively: bool):
    for turns in range(1, 2 * LATENCY):
        bench = await slow_bench()
        await leave_after(turns, lambda bench=bench: bench.refund(2_000_000), natively=natively)  # type: ignore[misc]
        await asyncio.sleep(0)
        assert len(bench.entries(Tag.REFUSAL)) == 1


@pytest.mark.requirement("WALK-11")
async def test_who_leaves_while_people_are_asked_finds_the_approval_waiting():
    for turns in range(1, 2 * LATENCY):
        bench = await slow_bench()
        await leave_after(turns, lambda bench=bench: bench.refund(6000), natively=False)  # type: ignore[misc]
        found = (await bench.refund(6000)).approval
        assert found is not None
        assert [entry["approval"] for entry in bench.entries(Tag.APPROVAL_ASKED)] == [found.id]


@pytest.mark.requirement("WALK-11")
async def test_who_leaves_while_his_answer_is_written_has_answered():
    bench = await slow_bench()
    waiting = (await bench.refund(6000)).approval
    assert waiting is not None
    left = await leave_after(1, lambda: bench.answer(waiting), natively=True)
    assert isinstance(left, asyncio.CancelledError)
    answered = bench.authority.approvals.find(waiting.id)
    assert answered is not None
    assert answered.state == "approved"
    assert len(bench.entries(Tag.APPROVAL_ANSWER)) == 1


@pytest.mark.requirement("WALK-11")
@pytest.mark.parametrize("natively", [False, True])
async def test_who_leaves_while_a_question_is_made_void_leaves_and_it_is_void(natively: bool):
    bench = await slow_bench()
    waiting = (await bench.refund(6000)).approval
    assert waiting is not None
    went_on = []

    async def make_void() -> None:
        await void(
            bench.recorder, bench.authority.approvals, bench.asking.under_way, waiting, ("the policy",)
        )
        went_on.append(waiting.id)

    await leave_after(1, make_void, natively=natively)
    assert not went_on
    found = bench.authority.approvals.find(waiting.id)
    assert found is not None
    assert (found.state, found.void_because) == ("void", ("the policy",))
    assert [entry["approval"] for entry in bench.entries(Tag.APPROVAL_VOID)] == [waiting.id]


async def test_who_leaves_while_a_mandate_is_issued_closed_or_documents_are_applied_leaves_nothing_half_done():
    bench = await slow_bench()
    walk = bench.walk
    assert isinstance(await leave_after(1, lambda: bench.issue("m-2"), natively=True), asyncio.CancelledError)
    assert (
        {m.id for m in walk.authority.mandates.all()}
        == {"m-1", "m-2"}
        == {e["mandate"] for e in bench.entries(Tag.MANDATE_ISSUED)}
    )
    await leave_after(
        1, lambda: close_mandate(walk.recorder, walk.authority, walk.live, "m-2", by="alice"), natively=True
    )
    assert [e["mandate"] for e in bench.entries(Tag.MANDATE_CLOSED)] == ["m-2"]
    before = walk.policies.decision_point.policy_set
    stricter = bench_documents(POLICIES + '@id("none") forbid (principal, action, resource);\n')
    # The first turn is spent on waiting for others who apply documents.
    ended = await leave_after(2, lambda: bench.registered(stricter), natively=True)
    assert isinstance(ended, asyncio.CancelledError)
    assert walk.policies.decision_point.policy_set != before
    with pytest.raises(Refused):
        await bench.act()


@pytest.mark.requirement("PUB-03")
async def test_who_leaves_while_a_proposal_is_written_down_has_proposed():
    bench = await slow_bench()
    # The first turn is spent on waiting for others who apply documents.
    ended = await leave_after(2, lambda: propose(bench), natively=True)
    assert isinstance(ended, asyncio.CancelledError)
    (waiting,) = waiting_proposals(bench.walk.policies)
    assert [entry["proposal"] for entry in bench.entries(Tag.POLICY_PROPOSED)] == [waiting.id]


async def test_who_leaves_while_refusals_are_counted_has_them_counted_once():
    bench = await slow_bench()
    bench.counters.quota.take(AgentId("scout"), bench.clock.now())
    bench.counters.quota.lost(AgentId("scout"))
    await leave_after(
        1,
        lambda: record_counted_refusals(bench.recorder, bench.asking.passkeys, bench.counters.quota),
        natively=True,
    )
    await record_counted_refusals(bench.recorder, bench.asking.passkeys, bench.counters.quota)
    assert [entry["agents"] for entry in bench.entries(Tag.REFUSALS_COUNTED)] == [{"scout": 1}]


@pytest.mark.requirement("WALK-07", "WALK-12")
@pytest.mark.parametrize("commit", ["inline", "thread"])
async def test_on_real_files_nothing_is_torn_whenever_a_task_is_cancelled(commit: str, tmp_path: Path):
    bench = Bench()
    settings = TlogFilesSettings(segment_bytes=1_048_576, commit="thread" if commit == "thread" else "inline")
    ledger = TlogFilesLedger.open(
        tmp_path / "log",
        key=ledger_key(),
        sign=signing_key("ledger").sign,
        clock=bench.clock,
        settings=settings,
    )
    async with ledger:
        bench.recorder.ledger = bench.upstream.ledger = ledger
        await bench.registered()
        await bench.issue(calls_max=1000)
        for turns in range(12):
            for natively in (False, True):
                await leave_after(turns, bench.act, natively=natively)
                assert not bench.recorder.open_intents
        assert not await laws(bench)


async def test_a_record_that_is_refused_for_good_is_not_waited_for():
    bench = await slow_bench(lambda method: "full" if method == "ledger.submit" else None)
    with pytest.raises(Unavailable):
        await record_entry(bench.recorder, None)


@pytest.mark.requirement("WALK-07", "OBL-06")
async def test_a_long_answer_is_recorded_as_obliged_though_its_caller_leaves_while_it_comes():
    bench = await bench_with(obliging("redact:/email"))
    answers(bench, {"structuredContent": {"email": SECRET, "text": "x" * INLINE_BYTES_MAX}})
    scope = CancelScope()

    async def leaves(_: Effect) -> None:
        scope.cancel()

    bench.upstream.after = leaves
    with scope:
        await bench.act()
    assert [one["status"] for one in bench.entries(Tag.OUTCOME, Tag.INDETERMINATE)] == ["succeeded"]
    assert SECRET not in everything(bench)

"""What happens when a subject's key cannot be had: nothing is done, and nothing is lost."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from answerable.core.action.outcome import Outcome
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import MandateId
from answerable.errors import Refused, Unavailable
from answerable.flows.recovery.settle_open_intents import recover_from_ledger, settle_open_intents
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.testing.builders import Bench
from answerable.testing.fault_injection import Crash, Trouble, TroubledLedger, TroubledSubjectKeys
from answerable.testing.samples import document
from answerable.testing.trouble_outside import TroubledUpstream
from tests.worlds.parts import to_apply, to_settle
from tests.worlds.walk import cited, customers_bench, fields_of, stored_of, striking, subject_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from answerable.core.ledger.entry import StoredEntry
    from answerable.testing.fault_injection import Fault
    from answerable.testing.recording_upstream import Effect

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SEAL-08")]

M1 = MandateId("m-1")


async def _unavailable(
    bench: Bench, doing: Callable[[Bench], Awaitable[object]], at: int, fault: Fault
) -> bool:
    """Do it with trouble at one call for a key; whether it was met. The caller is told that nothing was done."""
    keys = bench.recorder.subject_keys
    trouble = striking("subject_keys.of", fault, at=at)
    bench.recorder.subject_keys = TroubledSubjectKeys(keys, trouble)
    with suppress(Refused):
        try:
            await doing(bench)
        except Unavailable as failed:
            told = failed.effect
        else:
            told = "none"
        finally:
            bench.recorder.subject_keys = keys
        assert told == "none"
    return bool(trouble.struck)


@pytest.mark.requirement("WALK-08")
@pytest.mark.parametrize("fault", ["undone", "done"])
async def test_without_a_key_nothing_is_done_and_the_budget_is_given_back(fault: Fault):
    """done: the key was made, and its store failed to say so."""
    met = 0
    for at in range(10):
        bench = await customers_bench()
        bench.recorder.pseudonyms.clear()
        struck = await _unavailable(bench, lambda one: one.refund(100), at, fault)
        if not struck:
            break
        met += 1
        assert not bench.upstream.effects
        assert bench.authority.mandates.calls_used(M1) == 0
        assert not bench.entries(Tag.INTENT)
        assert not bench.recorder.open_intents
        assert (await bench.refund(100)).outcome is not None
        assert bench.authority.mandates.calls_used(M1) == 1
    assert met >= 4, "for the log, the principal, his pseudonym and the customer"


@pytest.mark.requirement("WALK-08", "WALK-04")
@pytest.mark.parametrize("fault", ["undone", "done"])
async def test_without_a_key_for_an_intent_whose_statements_are_cited_the_call_is_given_back(fault: Fault):
    bench = await customers_bench()
    await cited(bench, "refund")
    assert await _unavailable(bench, lambda one: one.refund(100), 0, fault)
    assert bench.authority.mandates.calls_used(M1) == 0
    assert not bench.upstream.effects
    assert (await bench.refund(100)).outcome is not None


@pytest.mark.requirement("WALK-11")
@pytest.mark.parametrize("fault", ["undone", "done"])
async def test_without_a_key_neither_question_nor_answer_mandate_closing_nor_documents_are_half_done(
    fault: Fault,
):
    async def ask(bench: Bench) -> None:
        await bench.refund(6000)

    async def answer(bench: Bench) -> None:
        (waiting,) = bench.authority.approvals.all(pending_only=True, now=bench.clock.now())
        await bench.answer(waiting)

    async def issue(bench: Bench) -> None:
        await bench.issue("m-2", principal="bob")

    async def close(bench: Bench) -> None:
        await close_mandate(bench.recorder, bench.authority, bench.live, "m-1", by="carol")

    async def apply(bench: Bench) -> None:
        await apply_registry(*to_apply(bench.walk), [document("Principal", "eve", {})], by="carol")

    for doing in (ask, answer, issue, close, apply):
        for at in range(5):
            bench = await customers_bench()
            if doing is answer:
                await ask(bench)
            before = (
                bench.recorder.ledger.size,
                bench.authority.registry.current.digest,
                len(list(bench.authority.mandates.all())),
            )
            bench.recorder.pseudonyms.clear()
            if not await _unavailable(bench, doing, at, fault):
                assert at > 0
                break
            after = (
                bench.recorder.ledger.size,
                bench.authority.registry.current.digest,
                len(list(bench.authority.mandates.all())),
            )
            assert before == after
            if doing is close:
                assert bench.authority.mandates.state(M1) == "closed", "stopping needs no key"
            await doing(bench)
            assert bench.recorder.ledger.size > before[0]


@pytest.mark.requirement("WALK-05")
async def test_a_refusal_for_which_no_key_can_be_had_is_counted_and_still_a_no():
    bench = await customers_bench()
    keys = bench.recorder.subject_keys
    bench.recorder.subject_keys = TroubledSubjectKeys(keys, Trouble(lambda _n, _m: "undone"))
    with pytest.raises(Unavailable) as told:
        await bench.refund(2_000_000)
    assert told.value.effect == "none"
    assert bench.counters.quota.drain_counted(10) == {"scout": 1}
    assert not bench.upstream.effects


@pytest.mark.requirement("WALK-10")
@pytest.mark.parametrize("status", ["succeeded", "failed"])
async def test_no_key_is_needed_any_more_once_the_intent_is_written(status: str):
    bench = await customers_bench()
    keys = bench.recorder.subject_keys

    async def lost(_: Effect) -> None:
        bench.recorder.subject_keys = TroubledSubjectKeys(keys, Trouble(lambda _n, _m: "undone"))

    bench.upstream.after = lost
    bench.upstream.answer = lambda _: Outcome(status=status)
    answer = await bench.refund(100)
    assert answer.receipt is not None
    bench.recorder.subject_keys = keys
    assert [end["status"] for end in bench.entries(Tag.OUTCOME)] == [status]


@pytest.mark.requirement("WALK-03")
async def test_a_true_outcome_that_turns_up_late_needs_no_key_either():
    bench = await customers_bench()
    keys = bench.recorder.subject_keys

    async def hang(_: Effect) -> None:
        bench.clock.advance(200)
        assert await settle_open_intents(*to_settle(bench.walk)) == 1
        bench.recorder.subject_keys = TroubledSubjectKeys(keys, Trouble(lambda _n, _m: "undone"))

    bench.upstream.after = hang
    assert (await bench.refund(100)).receipt is not None
    bench.recorder.subject_keys = keys
    assert [s.tag for s in stored_of(bench, Tag.OUTCOME, Tag.INDETERMINATE)] == [
        Tag.INDETERMINATE,
        Tag.OUTCOME,
    ]


async def crashed(bench: Bench) -> Bench:
    """A new process over the log of one that ended in the middle of a refund."""
    bench.walk.verification.upstream = TroubledUpstream(
        bench.upstream, Trouble(lambda _n, method: "crash_after" if "perform" in method else None)
    )
    with pytest.raises(Crash):
        await bench.refund(100)
    walk = bench.walk
    again = Bench(
        clock=bench.clock,
        entropy=walk.entropy,
        ledger=walk.recorder.ledger,
        registry=walk.authority.registry,
        mandates=walk.authority.mandates,
        approvals=walk.authority.approvals,
        subject_keys=walk.recorder.subject_keys,
    )
    recover_from_ledger(*to_settle(again.walk))
    again.clock.advance(200)
    return again


@pytest.mark.requirement("WALK-03")
async def test_settling_after_a_restart_seals_the_end_for_the_subject_of_the_intent():
    bench = await crashed(await customers_bench())
    assert await settle_open_intents(*to_settle(bench.walk)) == 1
    (end,) = stored_of(bench, Tag.INDETERMINATE)
    assert subject_of(bench, end) == "Customer:4711"
    assert fields_of(bench, Tag.INDETERMINATE)[0]["detail"]


@pytest.mark.requirement("WALK-03")
@pytest.mark.parametrize("fault", ["undone", "done"])
async def test_while_the_key_of_an_intent_cannot_be_had_it_stays_due_and_is_ended_later(fault: Fault):
    bench = await crashed(await customers_bench())
    keys = bench.recorder.subject_keys
    bench.recorder.subject_keys = TroubledSubjectKeys(keys, striking("subject_keys.find", fault))
    with pytest.raises(Unavailable):
        await settle_open_intents(*to_settle(bench.walk))
    assert len(bench.recorder.open_intents) == 1
    assert await settle_open_intents(*to_settle(bench.walk)) == 1
    assert len(bench.entries(Tag.INDETERMINATE)) == 1


@pytest.mark.requirement("WALK-03")
async def test_the_end_of_an_intent_whose_key_was_destroyed_is_sealed_under_the_logs_own():
    bench = await crashed(await customers_bench())
    keys = bench.recorder.subject_keys

    class Destroyed:
        of = keys.of

        def find(self, key_id: bytes) -> None:
            return None

    bench.recorder.subject_keys = Destroyed()
    assert await settle_open_intents(*to_settle(bench.walk)) == 1
    (end,) = stored_of(bench, Tag.INDETERMINATE)
    assert keys.of("log:own").id == end.attachment[1:17]


@pytest.mark.requirement("WALK-03")
async def test_the_end_of_an_intent_that_cannot_be_read_back_is_sealed_under_the_logs_own():
    bench = await crashed(await customers_bench())

    class Cut(TroubledLedger):
        def entry(self, index: int) -> StoredEntry:
            # As an intent of version 1 is: its attachment names no key.
            return structs.replace(super().entry(index), attachment=b"salt and payload")

    bench.recorder.ledger = Cut(bench.recorder.ledger, Trouble(lambda _n, _m: None))
    assert await settle_open_intents(*to_settle(bench.walk)) == 1
    (end,) = stored_of(bench, Tag.INDETERMINATE)
    assert bench.recorder.subject_keys.of("log:own").id == end.attachment[1:17]

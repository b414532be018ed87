"""Every intent ends: at once, late, after a restart, after the clock was set back; once."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
import pytest

from answerable.core.action.outcome import Outcome
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.entry import StoredEntry, sealed_entry
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import MandateId
from answerable.core.tlog.merkle import leaf_hash
from answerable.errors import Broken, Unavailable
from answerable.flows.entries.log_outcome import end_intent
from answerable.flows.recovery.settle_open_intents import recover_from_ledger, settle_open_intents
from answerable.testing.builders import Bench
from answerable.testing.fault_injection import Crash, Trouble, TroubledLedger
from answerable.testing.trouble_outside import TroubledUpstream
from tests.worlds.parts import to_settle
from tests.worlds.walk import fields_of, sealed_values, stored_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.testing.fault_injection import Fault
    from answerable.testing.recording_upstream import Effect

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("WALK-03")]


async def crashed_in_flight(*, effect: bool) -> Bench:
    """A new process over the log of one that ended in the middle of an action."""
    bench = await Bench().registered()
    await bench.issue()
    bench.walk.verification.upstream = TroubledUpstream(
        bench.upstream,
        Trouble(
            lambda _n, method: ("crash_after" if effect else "crash_before") if "perform" in method else None
        ),
    )
    with pytest.raises(Crash):
        await bench.act()
    walk = bench.walk
    again = Bench(
        clock=bench.clock,
        entropy=walk.entropy,
        ledger=walk.recorder.ledger,
        registry=walk.authority.registry,
        mandates=walk.authority.mandates,
        approvals=walk.authority.approvals,
        upstream=bench.upstream,
        subject_keys=walk.recorder.subject_keys,
    )
    recover_from_ledger(*to_settle(again.walk))
    return again


@pytest.mark.parametrize("effect", [False, True])
async def test_after_a_crash_the_intent_ends_as_indeterminate_when_its_time_is_over_and_not_before(
    effect: bool,
):
    bench = await crashed_in_flight(effect=effect)
    assert await settle_open_intents(*to_settle(bench.walk), overdue_only=False) == 0, (
        "its warrant could still be redeemed"
    )
    bench.clock.advance(10)
    assert await settle_open_intents(*to_settle(bench.walk)) == 0, "an upstream call could still be running"
    assert await settle_open_intents(*to_settle(bench.walk), overdue_only=False) == 1, (
        "not at a start: nothing is in flight"
    )
    assert await settle_open_intents(*to_settle(bench.walk)) == 0
    (end,) = bench.entries(Tag.INDETERMINATE)
    (intent,) = bench.entries(Tag.INTENT)
    assert (end["intent"], end["action"]) == (intent["index"], intent["action"])


async def test_on_the_timer_it_waits_for_the_deadline_and_the_longest_call():
    bench = await crashed_in_flight(effect=True)
    bench.clock.advance(129.9)
    assert await settle_open_intents(*to_settle(bench.walk)) == 0
    bench.clock.advance(0.1)
    assert await settle_open_intents(*to_settle(bench.walk)) == 1


async def test_two_who_settle_at_once_write_one_end():
    bench = await crashed_in_flight(effect=True)
    bench.clock.advance(200)
    counts = await asyncio.gather(*(settle_open_intents(*to_settle(bench.walk)) for _ in range(3)))
    assert sum(counts) == 1
    assert len(bench.entries(Tag.INDETERMINATE)) == 1


async def test_a_wall_clock_that_was_set_back_does_not_leave_an_intent_open_for_years():
    bench = await crashed_in_flight(effect=True)
    bench.clock.jump(-3600 * 24 * 365)
    assert await settle_open_intents(*to_settle(bench.walk)) == 1


async def test_when_the_log_takes_nothing_the_intent_stays_due():
    bench = await crashed_in_flight(effect=True)
    bench.clock.advance(200)
    raw = bench.recorder.ledger
    bench.recorder.ledger = TroubledLedger(
        raw, Trouble(lambda _n, method: "full" if "submit" in method else None)
    )
    with pytest.raises(Unavailable):
        await settle_open_intents(*to_settle(bench.walk))
    bench.recorder.ledger = raw
    assert await settle_open_intents(*to_settle(bench.walk)) == 1


@pytest.mark.parametrize(
    ("outcome", "entries"),
    [
        (Outcome(status="succeeded"), [Tag.INDETERMINATE, Tag.OUTCOME]),
        (Outcome(status="failed"), [Tag.INDETERMINATE, Tag.OUTCOME]),
        (Outcome(status="not_started"), [Tag.INDETERMINATE, Tag.OUTCOME]),
        (Outcome(status="indeterminate"), [Tag.INDETERMINATE]),
    ],
)
async def test_a_true_outcome_that_turns_up_late_is_a_correcting_entry_and_what_knows_no_more_is_none(
    outcome: Outcome, entries: list[Tag]
):
    bench = await Bench().registered()
    await bench.issue()

    async def hang(_: Effect) -> None:
        bench.clock.advance(200)
        assert await settle_open_intents(*to_settle(bench.walk)) == 1

    bench.upstream.after = hang
    bench.upstream.answer = lambda _: outcome
    answer = await bench.act()
    assert answer.outcome is not None
    assert answer.outcome.status == outcome.status
    # What was not started gives its call back, once, however late that is known.
    assert answer.outcome.returned == ({"calls": 1} if outcome.status == "not_started" else {})
    assert bench.authority.mandates.calls_used(MandateId("m-1")) == (outcome.status != "not_started")
    assert (answer.receipt is None) == (outcome.status == "indeterminate")
    ends = [s.tag for s in bench.recorder.ledger.replay() if s.tag in (Tag.OUTCOME, Tag.INDETERMINATE)]
    assert ends == entries


@pytest.mark.parametrize("fault", ["busy", "full"])
async def test_when_the_true_outcome_turns_up_while_the_log_has_no_room_settling_says_nothing_after_it(
    fault: Fault,
):
    bench = await Bench().registered()
    await bench.issue()
    raw = bench.recorder.ledger

    async def hang(_: Effect) -> None:
        bench.clock.advance(200)
        faults: Iterator[Fault | None] = iter([fault])
        bench.recorder.ledger = TroubledLedger(
            raw, Trouble(lambda _n, method: next(faults, None) if "submit" in method else None)
        )
        settling.append(asyncio.create_task(settle_open_intents(*to_settle(bench.walk))))
        await asyncio.sleep(0)

    settling: list[asyncio.Task[int]] = []
    bench.upstream.after = hang
    await bench.act()
    (settled,) = await asyncio.gather(*settling, return_exceptions=True)
    assert isinstance(settled, Unavailable)
    assert await settle_open_intents(*to_settle(bench.walk)) == 0
    ends = [s.tag for s in raw.replay() if s.tag in (Tag.OUTCOME, Tag.INDETERMINATE)]
    assert ends == [Tag.OUTCOME]


@pytest.mark.requirement("WALK-15")
async def test_after_an_outcome_that_was_known_and_that_settling_recorded_no_other_is_taken():
    bench = await Bench().registered()
    await bench.issue()
    raw = bench.recorder.ledger

    async def fills(_: Effect) -> None:
        bench.recorder.ledger = TroubledLedger(
            raw, Trouble(lambda _n, method: "full" if "submit" in method else None)
        )

    bench.upstream.after = fills
    with pytest.raises(Unavailable):
        await bench.act()
    bench.recorder.ledger = raw
    (opened,) = bench.recorder.open_intents.values()
    assert await settle_open_intents(*to_settle(bench.walk)) == 1
    second = await end_intent(
        *to_settle(bench.walk),
        intent=opened.receipt,
        action_id=opened.action_id,
        outcome=Outcome(status="failed"),
        opened=opened,
    )
    assert second is None
    assert [one["status"] for one in bench.entries(Tag.OUTCOME)] == ["succeeded"]


async def test_a_correction_that_cannot_be_written_reopens_nothing():
    bench = await Bench().registered()
    await bench.issue()

    async def hang(_: Effect) -> None:
        bench.clock.advance(200)
        await settle_open_intents(*to_settle(bench.walk))
        bench.recorder.ledger = TroubledLedger(
            bench.recorder.ledger, Trouble(lambda _n, method: "undone" if "submit" in method else None)
        )

    bench.upstream.after = hang
    with pytest.raises(Unavailable) as told:
        await bench.act()
    assert told.value.effect == "unknown"
    assert not bench.recorder.open_intents


@pytest.mark.parametrize(
    "result",
    [
        {"huge": 10**40},
        {"half": "\ud800"},
        {"nan": float("nan")},
        {"bytes": b"\xff"},
        {"odd": object()},
        {("a", "b"): 1},
        {"half": "\ud800", "nan": float("nan"), "endless": [float("inf")]},
    ],
    ids=["huge integer", "half a character", "not a number", "bytes", "object", "odd name", "several"],
)
async def test_whatever_an_upstream_answers_the_outcome_is_recorded(result: dict[str, object]):
    bench = await Bench().registered()
    await bench.issue()
    bench.upstream.answer = lambda _: Outcome(status="succeeded", result=result, detail="\ud800" + "d" * 9000)
    await bench.act()
    (end,), (fields,) = bench.entries(Tag.OUTCOME), fields_of(bench, Tag.OUTCOME)
    assert end["status"] == "succeeded"
    assert fields["result"]
    # Whoever is shown the field can read it, not only our own lenient reader.
    (stored,) = stored_of(bench, Tag.OUTCOME)
    msgspec.json.decode(sealed_values(bench, stored)["result"])


async def test_an_answer_that_holds_itself_or_is_nested_too_deeply_is_recorded_as_such():
    bench = await Bench().registered()
    await bench.issue()
    loop: dict[str, object] = {}
    loop["again"] = loop
    deep: dict[str, object] = {}
    for _ in range(100_000):
        deep = {"d": deep}
    for result in (loop, deep):
        bench.upstream.answer = lambda _, result=result: Outcome(status="succeeded", result=result)
        await bench.act()
    assert len(bench.entries(Tag.OUTCOME)) == 2
    for fields in fields_of(bench, Tag.OUTCOME):
        assert fields["result"] in ({"not_recorded": "RecursionError"}, {"not_recorded": "ValueError"})


async def test_a_long_answer_is_cut_and_its_digest_kept_whole():
    bench = await Bench().registered()
    await bench.issue()
    bench.upstream.answer = lambda _: Outcome(status="succeeded", result={"text": "x" * 200_000})
    await bench.act()
    (stored,), (fields,) = stored_of(bench, Tag.OUTCOME), fields_of(bench, Tag.OUTCOME)
    assert len(stored.attachment) < 70_000
    assert isinstance(fields["result"], dict)
    assert fields["result"]["cut_after_bytes"] == 65_536
    assert fields["result_digest"] == sha256(b'{"text":"%b"}' % (b"x" * 200_000)).hexdigest()


@pytest.mark.parametrize(
    "leaf",
    [sealed_entry(Tag.INTENT, at=UnixMillis(1), members={"mandate": "m"}).leaf, b"[]"],
    ids=["intent without a deadline", "no object"],
)
async def test_a_log_that_this_version_did_not_write_stops_the_start(leaf: bytes):
    bench = Bench()
    written = StoredEntry(index=1, tag=Tag.INTENT, leaf=leaf, attachment=b"", leaf_hash=leaf_hash(leaf))

    class Foreign(TroubledLedger):
        def replay(self, start: int = 0) -> Iterator[StoredEntry]:
            yield written

        def open_intents(self) -> tuple[StoredEntry, ...]:
            return (written,)

    bench.recorder.ledger = Foreign(bench.recorder.ledger, Trouble(lambda _n, _m: None))
    with pytest.raises(Broken) as told:
        recover_from_ledger(*to_settle(bench.walk))
    assert told.value.code == "ledger.leaf_malformed"

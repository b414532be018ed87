"""Trips that cannot be written down, floods of warnings, and registers that cannot be read, against holds that have to
get to every process."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from answerable.core.containment.hold import Hold, HoldId, holdable, placed_by
from answerable.core.containment.stop_rule_signal import OURS, StopRuleSignal
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed, Unavailable
from answerable.flows.counters.trigger_rules import count, sweep
from answerable.flows.counters.watch_rules import _denied
from answerable.flows.policy.place_triggered_holds import follow_rules, place_triggered_holds
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.revocation.place_hold import place_hold, resume_holds
from answerable.ports.hold_register import UNRECORDED_MAX
from answerable.testing.builders import Bench, bench_documents, with_trackers
from tests.worlds.gateway import until
from tests.worlds.hold import bench_to_hold
from tests.worlds.parts import to_apply, to_hold
from tests.worlds.rule import HUGE, again, code_of, denied, fired, retried, rule, ruled

pytestmark = pytest.mark.anyio


def in_register(bench: Bench) -> set[str]:
    """Names that every process sees held."""
    return {one.what.name for one in bench.authority.tripped._register.all()}


async def tripped(bench: Bench, *mandates: str) -> None:
    for one in mandates:
        await bench.issue(one)
        await code_of(bench.refund(HUGE, mandate=one))


def without_place_for(bench: Bench, monkeypatch: Any, *names: str, left: int = 1_000_000) -> None:
    """A register that refuses these."""
    place, tries = bench.authority.tripped._register.place, iter(range(left))

    def failing(hold: Hold) -> Hold:
        if hold.what.name in names and next(tries, None) is not None:
            raise Unavailable("no place for this one", code="register.full", port="register")
        return place(hold)

    monkeypatch.setattr(bench.authority.tripped._register, "place", failing)


def without_entries_of(bench: Bench, monkeypatch: Any, tag: Tag, first: int = 1_000_000) -> None:
    """A log that takes none of these, so many times."""
    submit, tries = bench.recorder.ledger.submit, iter(range(first))

    def failing(entry: Any) -> Any:
        if entry.tag == tag and next(tries, None) is not None:
            raise Malformed("this one cannot be written", code="ledger.odd")
        return submit(entry)

    monkeypatch.setattr(bench.recorder.ledger, "submit", failing)


async def followed(bench: Bench, seen: Any, **how: Any) -> None:
    """Until it is seen, as beside the doors."""
    task = asyncio.ensure_future(
        follow_rules(bench.recorder, bench.authority, bench.live, bench.counters, **how)
    )
    try:
        await until(seen, seconds=20)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.requirement("RULE-07")
async def test_a_hold_that_no_register_takes_keeps_no_later_one_from_any_process(monkeypatch: Any):
    bench = await ruled(denied(0, over="mandate"))
    without_place_for(bench, monkeypatch, "n-0")
    await tripped(bench, "n-0", "n-1", "n-2")
    with pytest.raises(Unavailable):
        await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters)
    assert in_register(bench) == {"n-1", "n-2"}
    assert {one[3] for one in fired(bench)} == {"n-1", "n-2"}
    # It still holds here, and is tried again.
    assert await code_of(bench.act(mandate="n-0")) == "held.mandate"


@pytest.mark.requirement("FULLDISK-03")
async def test_what_the_ledger_needs_to_name_a_rule_is_made_when_the_rule_is_new_and_not_when_it_fires():
    bench = await ruled(denied(0))
    await followed(bench, lambda: placed_by("denials") in bench.recorder.pseudonyms)
    await apply_registry(*to_apply(bench.walk), [*bench_documents(), retried(0)], by="operator")
    await followed(bench, lambda: placed_by("loops") in bench.recorder.pseudonyms)


@pytest.mark.requirement("RULE-07")
async def test_a_firing_that_cannot_be_written_down_keeps_no_later_hold_from_any_process(monkeypatch: Any):
    bench = await ruled(denied(0, over="mandate"))
    with monkeypatch.context() as patched:
        without_entries_of(bench, patched, Tag.RULE_FIRED, first=1)
        await tripped(bench, "n-0", "n-1", "n-2")
        with pytest.raises(Malformed):
            await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters)
        assert in_register(bench) == {"n-0", "n-1", "n-2"}
        assert {one[3] for one in fired(bench)} == {"n-1", "n-2"}
    assert await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters) == 1
    assert {one[3] for one in fired(bench)} == {"n-0", "n-1", "n-2"}


@pytest.mark.requirement("RULE-07")
async def test_a_log_that_takes_no_firing_at_all_keeps_no_hold_from_any_process(monkeypatch: Any):
    monkeypatch.setattr("answerable.flows.policy.place_triggered_holds.FAILED_MAX", 2)
    bench = await ruled(denied(0, over="mandate"))
    names = [f"n-{number}" for number in range(6)]
    with monkeypatch.context() as patched:
        without_entries_of(bench, patched, Tag.RULE_FIRED)
        await tripped(bench, *names[:4])
        with pytest.raises(Malformed):
            await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters)
        assert in_register(bench) == {*names[:4]}
        # What trips while nothing can be written is in force everywhere all the same.
        task = asyncio.ensure_future(
            follow_rules(bench.recorder, bench.authority, bench.live, bench.counters)
        )
        await tripped(bench, *names[4:])
        await until(lambda: in_register(bench) == {*names}, seconds=20)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters) == 6
    assert {one[3] for one in fired(bench)} == {*names}


@pytest.mark.requirement("RULE-07")
async def test_a_register_that_comes_back_gets_all_that_it_missed(monkeypatch: Any):
    monkeypatch.setattr("answerable.flows.policy.place_triggered_holds.FAILED_MAX", 2)
    monkeypatch.setattr("answerable.flows.policy.place_triggered_holds.RETRY_SECONDS", 0)
    bench = await ruled(denied(0, over="mandate"))
    names = [f"n-{number}" for number in range(5)]
    without_place_for(bench, monkeypatch, *names, left=7)
    await tripped(bench, *names)
    await followed(bench, lambda: in_register(bench) == {*names})


@pytest.mark.requirement("RULE-07")
async def test_a_flood_of_dry_runs_and_warnings_delays_no_hold_on_its_way_to_other_processes():
    noisy = denied(0, over="mandate", dryRun=True)
    bench = await ruled(noisy, rule("canary", "canary", canary={"values": ["honey-1"]}))
    await tripped(bench, *(f"n-{number}" for number in range(40)))
    assert await code_of(bench.act("refund", {"case": "honey-1", "amount": 1})) == "held.agent"
    task = asyncio.ensure_future(
        follow_rules(bench.recorder, bench.authority, bench.live, bench.counters, per_second_max=1)
    )
    await until(lambda: bool(in_register(bench)), seconds=20)
    # In every process while most of the forty wait, and the next to be written down.
    assert len(fired(bench)) <= 1
    await until(lambda: len(fired(bench)) > 1, seconds=20)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert ("canary", "held") in {one[:2] for one in fired(bench)[:2]}


@pytest.mark.requirement("RULE-07")
async def test_holds_get_to_every_process_at_once_however_few_a_second_are_written_down():
    bench = await ruled(denied(0, over="mandate"))
    names = [f"n-{number}" for number in range(30)]
    await tripped(bench, *names)
    await followed(bench, lambda: in_register(bench) == {*names}, per_second_max=1)
    assert len(fired(bench)) <= 1


@pytest.mark.requirement("RULE-07")
async def test_a_log_that_makes_whoever_writes_wait_delays_no_hold(monkeypatch: Any):
    bench = await ruled(denied(0, over="mandate"))
    await tripped(bench, "n-0")
    submit, stuck = bench.recorder.ledger.submit, asyncio.Event()

    def busy(entry: Any) -> Any:
        if entry.tag == Tag.RULE_FIRED:
            raise Unavailable("no room", code="ledger.busy", port="ledger")
        return submit(entry)

    async def room(_entry: Any) -> None:
        stuck.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(bench.recorder.ledger, "submit", busy)
        patched.setattr(bench.recorder.ledger, "room", room)
        task = asyncio.ensure_future(
            follow_rules(bench.recorder, bench.authority, bench.live, bench.counters)
        )
        await asyncio.wait_for(stuck.wait(), 20)
        await tripped(bench, "n-1", "n-2")
        await until(lambda: in_register(bench) == {"n-0", "n-1", "n-2"}, seconds=20)
        task.cancel()


@pytest.mark.requirement("RULE-07")
async def test_while_the_register_cannot_be_read_one_thing_trips_once(monkeypatch: Any):
    bench = await ruled(denied(0))

    def gone(_names: Any, _at: Any) -> Any:
        raise Unavailable("no disk", code="register.gone", port="register")

    state, triggered_holds = bench.counters.stop_rules, bench.authority.tripped
    request, caller = bench.request("refund", {"case": "1", "amount": HUGE}, mandate="none-such")
    with monkeypatch.context() as patched:
        patched.setattr(triggered_holds._register, "find", gone)
        patched.setattr(triggered_holds._register, "standing", gone)
        for number in range(20):
            bench.clock.advance(number)
            stop_rule_signal = _refusal(bench, request, caller)
            count(bench.authority, bench.counters, bench.walk.entropy, stop_rule_signal, index=None)
    assert len(state.held) == len(state.by_hold) == len(triggered_holds._ids) == 1
    assert await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters) == 1
    assert triggered_holds._ids == set()
    assert state.by_hold == {}


def _refusal(bench: Bench, request: Any, caller: Any) -> Any:
    return _denied(
        bench.recorder, bench.authority.registry, bench.counters.stop_rules, request, caller,
        bench.clock.now(), "mandate.unknown", None, (), None,
    )  # fmt: skip


@pytest.mark.requirement("RULE-07")
async def test_a_hold_that_ran_out_on_its_way_and_one_after_it_are_both_placed_and_neither_is_kept_in_mind():
    bench = await ruled(denied(0, expiresSeconds=60))
    await code_of(bench.refund(HUGE))
    bench.clock.advance(61)
    await code_of(bench.refund(HUGE))
    assert len(bench.authority.tripped._ids) == 2
    assert await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters) == 2
    assert bench.authority.tripped._ids == set()
    assert bench.authority.tripped.tripped == {}
    assert await code_of(bench.act()) == "held.agent"


@pytest.mark.requirement("RULE-07")
async def test_holds_that_ran_out_on_their_way_count_for_how_many_may_wait(monkeypatch: Any):
    monkeypatch.setattr("answerable.flows.state.triggered_holds.TRIPPED_MAX", 2)
    bench = await ruled(rule("canary", "canary", canary={"values": ["honey-1"]}, expiresSeconds=60))
    for _ in range(2):
        assert await code_of(bench.act("refund", {"case": "honey-1", "amount": 1})) == "held.agent"
        bench.clock.advance(61)
    assert await code_of(bench.act("refund", {"case": "honey-1", "amount": 1})) == "stop_rule.waiting"
    assert len(bench.counters.stop_rules.held) == 2


@pytest.mark.requirement("RULE-07")
async def test_firings_for_which_there_is_no_room_in_mind_lose_their_entry_and_not_their_hold(
    monkeypatch: Any, caplog: Any
):
    monkeypatch.setattr("answerable.flows.policy.place_triggered_holds.TRIPS_MAX", 2)
    bench = await ruled(denied(0, over="mandate"))
    names = [f"n-{number}" for number in range(5)]
    await tripped(bench, *names)
    assert (
        await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters, count_max=0)
        == 0
    )
    await followed(
        bench, lambda: "3 firings of stop rules were not written down" in caplog.text, per_second_max=1
    )
    assert in_register(bench) == {*names}
    assert len(bench.counters.stop_rules.by_hold) <= 2
    # The register says of whom nothing is on record, and whoever notices carries it out.
    bench.clock.advance(20)
    await resume_holds(bench.recorder, bench.authority)
    assert {one["name"] for one in bench.entries(Tag.HOLD_PLACED)} >= {*names[2:]}


# -- what is said to be on record


def waiting(bench: Bench, number: int) -> Hold:
    what = holdable("agent", f"a-{number}")
    return Hold(id=HoldId(f"hold_{number:022d}"), what=what, at=bench.clock.now(), by="uid:0")


@pytest.mark.requirement("HOLD-08")
async def test_a_hold_behind_a_thousand_that_wait_is_not_said_to_be_on_record_before_it_is():
    bench = await bench_to_hold()
    for number in range(UNRECORDED_MAX):
        bench.authority.holds.place(waiting(bench, number))
    for _ in range(2):
        placed = await place_hold(*to_hold(bench.walk), holdable("agent", "scout"), by="uid:1000")
        assert placed.recorded
        # On record, and once.
        assert [one["name"] for one in bench.entries(Tag.HOLD_PLACED)] == ["scout"]
    assert placed.hold.id not in {one.id for one in bench.authority.holds.unrecorded()}


@pytest.mark.requirement("HOLD-08")
async def test_a_hold_behind_a_thousand_that_wait_for_a_full_log_is_not_said_to_be_on_record(
    monkeypatch: Any,
):
    bench = await bench_to_hold()
    for number in range(UNRECORDED_MAX):
        bench.authority.holds.place(waiting(bench, number))

    def full(_entry: Any) -> Any:
        raise Unavailable("full", code="ledger.full", port="ledger")

    monkeypatch.setattr(bench.recorder.ledger, "submit", full)
    for _ in range(2):
        placed = await place_hold(*to_hold(bench.walk), holdable("agent", "scout"), by="uid:1000")
        assert not placed.recorded


# -- graces


@pytest.mark.requirement("RULE-06")
async def test_a_grace_over_one_resource_is_not_stretched_by_acting_on_another():
    refunds = {
        "name": "refunds", "over": "agent", "within": "1h", "capabilities": ["crm.refund"], "sameResource": True,
    }  # fmt: skip
    documents = [with_trackers(one, [refunds]) for one in bench_documents()]
    spree = rule("spree", "tracker", tracker="refunds", limit=2, graceSeconds=30)
    bench = await ruled(spree, documents=documents)
    for _ in range(3):
        assert await code_of(bench.act("refund", {"case": "4711", "amount": 1})) == "succeeded"
    for number in range(6):
        bench.clock.advance(5)
        assert await code_of(bench.act("refund", {"case": f"else-{number}", "amount": 1})) == "succeeded"
        sweep(bench.authority, bench.counters, bench.walk.entropy)
        await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters)
    bench.clock.advance(2)
    sweep(bench.authority, bench.counters, bench.walk.entropy)
    assert await code_of(bench.act("refund", {"case": "other", "amount": 1})) == "held.agent"
    await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters)
    assert [one[1] for one in fired(bench)] == ["warned", "held"]


@pytest.mark.requirement("RULE-06")
async def test_whoever_stops_on_the_one_resource_in_time_is_not_held_for_it():
    refunds = {
        "name": "refunds", "over": "agent", "within": "1m", "capabilities": ["crm.refund"], "sameResource": True,
    }  # fmt: skip
    documents = [with_trackers(one, [refunds]) for one in bench_documents()]
    bench = await ruled(
        rule("spree", "tracker", tracker="refunds", limit=1, graceSeconds=120), documents=documents
    )
    for _ in range(2):
        await code_of(bench.act("refund", {"case": "4711", "amount": 1}))
    bench.clock.advance(125)
    sweep(bench.authority, bench.counters, bench.walk.entropy)
    assert await code_of(bench.act("refund", {"case": "4711", "amount": 1})) == "succeeded"
    assert bench.counters.stop_rules.passed == {}


@pytest.mark.requirement("RULE-06")
async def test_a_grace_that_a_restart_begins_anew_ends_for_retries_of_one_action_too():
    bench = await ruled(retried(1, graceSeconds=30))
    for _ in range(3):
        await code_of(bench.act(arguments={"case": "77"}))
    bench = again(bench)
    sweep(bench.authority, bench.counters, bench.walk.entropy)
    bench.clock.advance(31)
    sweep(bench.authority, bench.counters, bench.walk.entropy)
    assert await code_of(bench.act(arguments={"case": "78"})) == "held.agent"


@pytest.mark.requirement("RULE-06")
async def test_rules_added_later_leave_the_graces_of_others():
    bench = await ruled(denied(1, graceSeconds=30))
    for _ in range(2):
        await code_of(bench.refund(HUGE))
    await apply_registry(
        *to_apply(bench.walk), [rule("canary", "canary", canary={"values": ["honey-1"]})], by="operator"
    )
    bench.clock.advance(31)
    assert await code_of(bench.act()) == "held.agent"


@pytest.mark.requirement("RULE-02")
@pytest.mark.parametrize(("code", "counted"), [(None, 1), *((one, 0) for one in sorted(OURS))])
async def test_who_is_refused_for_what_is_the_matter_with_us_is_not_held_for_it(
    code: str | None, counted: int
):
    bench = await ruled(denied(0))
    for _ in range(3):
        count(
            bench.authority,
            bench.counters,
            bench.walk.entropy,
            StopRuleSignal(kind="denied", at=bench.clock.now(), agents=("scout",), code=code or "no"),
            index=None,
        )
    assert await place_triggered_holds(bench.recorder, bench.authority, bench.live, bench.counters) == counted

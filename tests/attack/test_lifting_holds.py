"""Holds that are pressed again, with the log full, with the clock set back; and whoever would lift one alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio
import pytest

from answerable.core.containment.hold import EVERYTHING, ID_BYTES, Hold, HoldId, hold_id, holdable, placed_by
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed, Refused, Unavailable, Unverified
from answerable.flows.containment.lift_hold import lift_hold
from answerable.flows.recording.name_keys import key_file
from answerable.flows.revocation.place_hold import place_hold, resume_holds
from answerable.testing.builders import memory_ledger
from answerable.testing.clock import ManualClock
from tests.worlds.hold import bench_to_hold, lift, lift_token, stop
from tests.worlds.parts import to_hold
from tests.worlds.walk import cited

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("HOLD-06")
async def test_nobody_lifts_alone_what_a_user_of_the_machine_placed():
    bench = await bench_to_hold()
    hold = (await stop(bench, holdable("agent", "scout"))).hold
    agreed = await lift(bench, hold, "bob")
    assert not agreed.lifted_at
    with pytest.raises(Refused) as raised:
        await lift(bench, hold, "bob")
    assert raised.value.code == "hold.agreed_already"
    with pytest.raises(Refused):
        await bench.act()
    lifted = await lift(bench, hold, "carol")
    assert lifted.lifted_by == ("bob", "carol")
    assert (await bench.act()).outcome.status == "succeeded"
    with pytest.raises(Refused) as raised:
        await lift(bench, hold, "dan")
    assert raised.value.code == "hold.lifted_already"
    said = [
        (leaf["agreed"], leaf["wanted"], bool(leaf["lifted_at"])) for leaf in bench.entries(Tag.HOLD_LIFTED)
    ]
    assert said == [(1, 2, False), (2, 2, True)]


@pytest.mark.requirement("HOLD-06")
async def test_a_person_never_lifts_what_they_placed_and_one_other_is_enough():
    bench = await bench_to_hold()
    hold = (await stop(bench, EVERYTHING, by="alice")).hold
    with pytest.raises(Refused) as raised:
        await lift(bench, hold, "alice")
    assert raised.value.code == "hold.own"
    assert (await lift(bench, hold, "bob")).lifted_at
    assert await bench.act()


@pytest.mark.requirement("HOLD-06")
@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"by": "mallory"}, "lift.key"),
        ({"by": "bob", "key": "mallory"}, "lift.key"),
        ({"by": "bob", "audience": "other.test/log"}, "lift.audience"),
        ({"by": "bob", "reason": ""}, "lift.malformed"),
        ({"by": "bob", "reason": "two\nlines"}, "lift.malformed"),
    ],
)
async def test_a_word_that_is_not_a_registered_persons_about_this_deployment_lifts_nothing(wrong, code):
    bench = await bench_to_hold()
    hold = (await stop(bench, EVERYTHING, by="alice")).hold
    with pytest.raises((Unverified, Malformed)) as raised:
        await lift_hold(
            bench.recorder,
            bench.authority,
            bench.asking.under_way,
            bench.counters,
            hold.id,
            lift_token(bench, hold, **wrong),
        )
    assert raised.value.code == code
    with pytest.raises(Refused):
        await bench.act()


@pytest.mark.requirement("HOLD-06")
async def test_a_word_about_another_hold_or_an_old_one_lifts_nothing():
    bench = await bench_to_hold()
    hold = (await stop(bench, holdable("agent", "scout"), by="alice")).hold
    other = (await stop(bench, EVERYTHING, by="alice")).hold
    token = lift_token(bench, hold, "bob")
    for name, said, code in (
        (other.id, token, "lift.other"),
        (hold.id, lift_token(bench, replace(hold, reason="a drill"), "bob"), "lift.other"),
        (HoldId("hold_" + "x" * 22), token, "hold.unknown"),
    ):
        with pytest.raises((Unverified, Refused)) as raised:
            await lift_hold(
                bench.recorder, bench.authority, bench.asking.under_way, bench.counters, name, said
            )
        assert raised.value.code == code
    bench.clock.advance(301)
    with pytest.raises(Unverified) as raised:
        await lift_hold(
            bench.recorder, bench.authority, bench.asking.under_way, bench.counters, hold.id, token
        )
    assert raised.value.code == "lift.stale"


@pytest.mark.requirement("HOLD-06")
async def test_who_is_held_or_revoked_lifts_nothing_while_everything_stands_still_people_do():
    bench = await bench_to_hold()
    first = (await stop(bench, EVERYTHING, by="alice")).hold
    await stop(bench, holdable("owner", "bob"), by="alice")
    with pytest.raises(Refused) as raised:
        await lift(bench, first, "bob")
    assert raised.value.code == "held.owner"
    assert (await lift(bench, first, "carol")).lifted_at


@pytest.mark.requirement("HOLD-06")
async def test_a_lift_names_what_was_held_as_the_hold_did_and_a_person_by_a_pseudonym():
    bench = await bench_to_hold()
    for what in (holdable("owner", "bob"), holdable("agent", "scout")):
        await lift(bench, (await stop(bench, what, by="alice")).hold, "carol")
    person, agent = [
        (placed["name"], lifted["name"])
        for placed, lifted in zip(bench.entries(Tag.HOLD_PLACED), bench.entries(Tag.HOLD_LIFTED), strict=True)
    ]
    assert person[0] == person[1] != "bob"
    assert agent == ("scout", "scout")


@pytest.mark.requirement("HOLD-06")
async def test_a_lift_says_nothing_of_a_rule_that_is_not_on_record_to_have_fired():
    bench = await bench_to_hold()
    placed = Hold(
        id=hold_id(bench.walk.entropy.bytes(ID_BYTES)),
        what=holdable("agent", "scout"),
        at=bench.clock.now(),
        by=placed_by("denials"),
        source="rule",
        rule="denials",
    )
    bench.authority.holds.place(placed)
    assert (await lift(bench, placed, "bob")).lifted_at
    [said] = bench.entries(Tag.HOLD_LIFTED)
    assert not {"rule", "rule_owner"} & said.keys()


@pytest.mark.requirement("HOLD-06")
async def test_of_two_who_lift_at_once_neither_counts_twice():
    bench = await bench_to_hold()
    hold = (await stop(bench, EVERYTHING)).hold
    ends: list[object] = []

    async def person(name: str) -> None:
        try:
            ends.append(await lift(bench, hold, name))
        except Refused as refused:
            ends.append(refused.code)

    async with anyio.create_task_group() as tasks:
        for name in ("bob", "carol"):
            tasks.start_soon(person, name)
    if "hold.changed_meanwhile" in ends:
        # They met; else one was through before the other looked.
        seen = bench.authority.holds.get(hold.id)
        assert (len(seen.agreed), seen.lifted_at) == (1, 0)
        await lift(bench, hold, "carol" if seen.agreed[0].by == "bob" else "bob")
    assert sorted(bench.authority.holds.get(hold.id).lifted_by) == ["bob", "carol"]
    assert len(bench.entries(Tag.HOLD_LIFTED)) == 2


@pytest.mark.requirement("HOLD-06")
async def test_a_lift_that_was_overtaken_while_it_was_checked_is_not_on_record(
    monkeypatch: pytest.MonkeyPatch,
):
    bench = await bench_to_hold()
    hold = (await stop(bench, EVERYTHING)).hold

    async def overtaken(*asked: Any) -> Any:
        monkeypatch.setattr("answerable.flows.containment.lift_hold.key_file", key_file)
        await lift(bench, hold, "carol")
        return await key_file(*asked)

    monkeypatch.setattr("answerable.flows.containment.lift_hold.key_file", overtaken)
    with pytest.raises(Refused) as raised:
        await lift(bench, hold, "bob")
    assert raised.value.code == "hold.changed_meanwhile"
    assert len(bench.entries(Tag.HOLD_LIFTED)) == 1
    await lift(bench, hold, "bob")
    assert sorted(bench.authority.holds.get(hold.id).lifted_by) == ["bob", "carol"]


@pytest.mark.requirement("HOLD-06")
async def test_a_lift_that_cannot_be_recorded_is_none():
    bench = await bench_to_hold()
    hold = (await stop(bench, EVERYTHING, by="alice")).hold

    def full(_entry):
        raise Unavailable("the log is full", code="ledger.full", port="ledger")

    bench.recorder.ledger.submit = full
    with pytest.raises(Unavailable):
        await lift(bench, hold, "bob")
    assert not bench.authority.holds.get(hold.id).lifted_at


@pytest.mark.requirement("HOLD-06")
async def test_what_was_denied_by_a_hold_stays_denied_after_the_lift():
    bench = await bench_to_hold()
    waiting = (await bench.refund(6_000)).approval
    hold = (await stop(bench, holdable("mandate", "m-1"), by="alice")).hold
    await lift(bench, hold, "bob")
    with pytest.raises(Refused) as raised:
        await bench.answer(waiting)
    assert raised.value.code == "approval.not_pending"
    assert (await bench.refund(6_000)).approval.id != waiting.id


@pytest.mark.requirement("HOLD-07")
async def test_a_hold_runs_out_by_the_clock_and_holds_again_where_it_is_set_back():
    bench = await bench_to_hold()
    now = bench.clock.now()
    await stop(bench, holdable("agent", "scout"), expires_at=now + 60_000)
    with pytest.raises(Refused):
        await bench.act()
    bench.clock.advance(61)
    assert (await bench.act()).outcome.status == "succeeded"
    bench.clock.jump(-30)
    with pytest.raises(Refused) as raised:
        await bench.act()
    assert raised.value.code == "held.agent"


@pytest.mark.requirement("HOLD-08")
async def test_a_stop_works_while_the_ledger_is_full_and_is_recorded_from_its_reserve():
    clock = ManualClock()
    ledger = memory_ledger(clock, entries_max=60, reserve_entries=20)
    bench = await bench_to_hold(clock=clock, ledger=ledger)
    while ledger.size < 40:
        await bench.act()
    with pytest.raises(Unavailable):
        await bench.act()
    placed = await stop(bench, holdable("agent", "scout"))
    assert placed.recorded
    assert len(bench.entries(Tag.HOLD_PLACED)) == 1


@pytest.mark.requirement("HOLD-08")
async def test_a_stop_holds_and_cuts_though_the_ledger_takes_nothing_at_all_and_is_recorded_once_it_does():
    bench = await bench_to_hold()
    await cited(bench)
    started = anyio.Event()

    async def hangs(_effect):
        started.set()
        await anyio.sleep_forever()

    bench.upstream.before = hangs
    submit = bench.recorder.ledger.submit

    def full(entry):
        if entry.tag == Tag.HOLD_PLACED:
            raise Unavailable("the log is full", code="ledger.full", port="ledger")
        return submit(entry)

    bench.recorder.ledger.submit = full
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bench.act)
        await started.wait()
        placed = await stop(bench, holdable("agent", "scout"))
    assert (placed.cut, placed.recorded) == (1, False)
    with pytest.raises(Refused):
        await bench.act()
    bench.recorder.ledger.submit = submit
    assert await resume_holds(bench.recorder, bench.authority) == 0
    bench.clock.advance(11)
    assert await resume_holds(bench.recorder, bench.authority) == 1
    assert await resume_holds(bench.recorder, bench.authority, overdue_only=False) == 0
    assert [leaf["hold"] for leaf in bench.entries(Tag.HOLD_PLACED)] == [placed.hold.id]


@pytest.mark.requirement("HOLD-09")
async def test_pressing_again_answers_with_the_hold_in_force_and_does_what_was_left():
    bench = await bench_to_hold()
    waiting = (await bench.refund(6_000)).approval
    # Whoever placed it ended right after.
    first = bench.authority.holds.place(
        Hold(
            id=HoldId("hold_" + "a" * 22),
            what=holdable("agent", "scout"),
            at=bench.clock.now(),
            by="uid:1000",
        )
    )
    again = await stop(bench, first.what)
    assert (again.hold, again.is_new) == (first, False)
    assert again.approvals == (waiting.id,)
    third = await stop(bench, first.what)
    assert (third.hold, third.is_new, third.approvals) == (first, False, ())
    assert len(bench.entries(Tag.HOLD_PLACED)) == 1


@pytest.mark.requirement("HOLD-09")
@pytest.mark.parametrize("bad", [{"reason": "two\nlines"}, {"reason": "x" * 501}, {"expires_at": 1}], ids=str)
async def test_a_hold_that_cannot_be_is_refused_before_anything_is_placed(bad):
    bench = await bench_to_hold()
    with pytest.raises(Malformed):
        await place_hold(*to_hold(bench.walk), EVERYTHING, by="uid:0", **bad)
    assert not list(bench.authority.holds.all())

"""A question on its way to people: told once, in order, also after a crash, and never past its answer."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import anyio
import pytest

from answerable.adapters.memory.approval_channel import MemoryApprovalChannel
from answerable.adapters.sqlite import SqliteDutyRegister
from answerable.core.containment.hold import HoldTarget
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unavailable
from answerable.flows.escalation.route_approval import (
    follow_duties,
    forget_duties,
    note_view,
    scan_waiting,
    tell_due,
)
from answerable.flows.recovery.recall_duties import RecalledDuties
from answerable.flows.revocation.place_hold import place_hold
from answerable.flows.state.duty_desk import DUE_MAX, OnCallState
from answerable.testing.builders import POLICIES, Bench
from answerable.testing.clock import ManualClock
from answerable.testing.memory_ledger import MemoryLedger
from answerable.testing.registers import fresh
from tests.worlds.duty import READS_WAIT, delegate, duty_bench, duty_document, person, tell, waiting
from tests.worlds.parts import to_hold

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("DUTY-04")]


async def test_who_is_on_call_is_told_then_the_second_then_the_group_each_once():
    bench = await duty_bench()
    asked = await waiting(bench)
    assert bench.channel.told == []
    assert await tell(bench) == [(0, ("bob",))]
    assert await tell(bench, seconds=59) == []
    assert await tell(bench, seconds=1) == [(1, ("carol",))]
    # Alice gave the task: her yes would not count, so that she is not told.
    assert await tell(bench, seconds=60) == [(2, ("bob", "carol", "erin"))]
    assert await tell(bench, seconds=600) == []
    entries = bench.entries(Tag.APPROVAL_ESCALATED)
    assert [(one["step"], one["asks"], one["people_count"], one["approval"]) for one in entries] == [
        (1, "second", 1, asked.id),
        (2, "group", 3, asked.id),
    ]
    assert "carol" not in json.dumps(entries)


async def test_without_a_duty_everybody_is_told_at_once():
    bench = await Bench().registered()
    await bench.issue()
    asked = await waiting(bench)
    assert bench.channel.told == [(asked.id, None, 0)]
    assert bench.asking.duties.next_at() is None


async def test_what_somebody_who_may_answer_has_seen_is_not_passed_on_as_unseen():
    bench = await duty_bench()
    asked = await waiting(bench)
    await tell(bench)
    register = bench.asking.duties.register
    # Whose task it is, who is in no group that is asked, and who is nobody here, have seen nothing that counts.
    for name in ("alice", "dan", "frank", "nobody"):
        await note_view(bench.authority, bench.asking, asked, person(name))
    assert register.first_view(asked.id) is None
    await note_view(bench.authority, bench.asking, asked, person("bob"))
    await note_view(bench.authority, bench.asking, asked, person("bob"))
    assert register.first_view(asked.id) == bench.clock.now()
    assert await tell(bench, seconds=60) == []
    assert await tell(bench, seconds=60) == [(2, ("bob", "carol", "erin"))]


@pytest.mark.parametrize("how", ["approved", "denied", "expired", "held"])
async def test_what_is_answered_denied_over_or_stopped_is_passed_on_to_nobody(how):
    bench = await duty_bench()
    asked = await waiting(bench)
    await tell(bench)
    if how == "held":
        await place_hold(*to_hold(bench.walk), HoldTarget("agent", "scout"), by="operator", reason="stop")
    elif how == "expired":
        bench.clock.advance(3_600)
    else:
        await bench.answer(asked, verdict="approve" if how == "approved" else "deny")
    assert await tell(bench, seconds=300) == []
    assert bench.entries(Tag.APPROVAL_ESCALATED) == []


async def test_whoever_has_answered_is_not_told_again():
    bench = await duty_bench()
    asked = await waiting(bench, 60_000)
    assert await tell(bench) == [(0, ("bob", "carol"))]
    await bench.answer(asked)
    assert await tell(bench, seconds=120) == [(2, ("carol", "erin"))]


async def test_a_restart_between_two_steps_tells_the_first_no_more_and_the_second_once():
    bench = await duty_bench()
    await waiting(bench)
    await tell(bench)
    await tell(bench, seconds=60)
    bench.asking.duties = OnCallState(register=bench.asking.duties.register)
    assert await tell(bench) == []
    assert await tell(bench, seconds=60) == [(2, ("bob", "carol", "erin"))]
    assert len(bench.entries(Tag.APPROVAL_ESCALATED)) == 2


async def test_a_crash_after_the_record_and_before_telling_tells_without_a_second_record():
    class Cut(SqliteDutyRegister):
        cut = False

        def tell(self, approval, group, step, at):
            if self.cut:
                raise Unavailable("cut", code="register.unavailable", port="registers")
            return super().tell(approval, group, step, at)

    register = fresh(Cut)
    bench = await duty_bench(bench=Bench(duties=register))
    await waiting(bench)
    await tell(bench)
    register.cut = True
    bench.clock.advance(60)
    with pytest.raises(Unavailable):
        await tell_due(bench.recorder, bench.authority, bench.asking)
    register.cut = False
    # Another process finds the entry, and that it is not known as told.
    bench.asking.duties = OnCallState(register=register)
    recalled = RecalledDuties(
        subject_keys=bench.recorder.subject_keys, duties=bench.asking.duties, clock=bench.clock
    )
    for stored in bench.recorder.ledger.replay():
        if stored.tag in (Tag.APPROVAL_ESCALATED, Tag.DUTY):
            recalled.note(stored, bench.recorder.ledger.origin)
    await recalled.restored()
    assert [step for step, _ in await tell(bench)] == [1]
    assert await tell(bench) == []
    assert len(bench.entries(Tag.APPROVAL_ESCALATED)) == 1


async def test_what_has_been_told_on_record_is_not_remembered_for_longer_than_needed():
    bench = await duty_bench()
    await waiting(bench)
    await tell(bench)
    await tell(bench, seconds=60)
    assert bench.asking.duties.recorded == set()


async def test_a_clock_that_is_set_back_tells_nothing_twice_and_loses_nothing():
    bench = await duty_bench()
    await waiting(bench)
    await tell(bench)
    await tell(bench, seconds=60)
    bench.clock.jump(-300)
    assert await tell(bench) == []
    assert await tell(bench, seconds=299) == []
    assert await tell(bench, seconds=61) == [(2, ("bob", "carol", "erin"))]


async def test_a_log_without_room_lets_the_step_wait_and_then_it_is_told_once():
    bench = await duty_bench()
    await waiting(bench)
    await tell(bench)
    full = bench.recorder.ledger
    assert isinstance(full, MemoryLedger)
    room = full._entries_max
    full._entries_max = 0
    assert await tell(bench, seconds=60) == []
    full._entries_max = room
    assert await tell(bench, seconds=6) == [(1, ("carol",))]


async def test_applied_documents_count_for_what_waits_already():
    bench = await Bench().registered()
    await bench.issue()
    await waiting(bench)
    await bench.registered([duty_document()])
    assert await tell(bench) == [(0, ("bob",))]


@pytest.mark.parametrize("critical", [False, True])
async def test_quiet_hours_let_wait_what_is_not_critical(critical):
    clock = ManualClock(
        round(datetime(2026, 11, 28, 23, tzinfo=ZoneInfo("Europe/Berlin")).timestamp() * 1000)
    )
    bench = Bench(clock=clock)
    bench.walk.limits = bench.asking.limits = replace(bench.walk.limits, approval_ttl_ms=12 * 3_600_000)
    quiet = {"from": "22:00", "until": "07:00"}
    await duty_bench(bench=bench, policies=POLICIES + READS_WAIT, quietHours=quiet)
    await bench.issue("m-2", seconds=20 * 3600)
    if critical:
        await bench.refund(6000, mandate="m-2")
        assert await tell(bench) == [(0, ("bob",))]
        return
    assert (await bench.act(mandate="m-2")).approval is not None
    assert await tell(bench) == []
    assert await tell(bench, seconds=8 * 3600 - 1) == []
    assert await tell(bench, seconds=1) == [(0, ("bob",))]


async def test_who_is_held_or_disabled_is_not_on_call():
    bench = await duty_bench()
    await place_hold(*to_hold(bench.walk), HoldTarget("owner", "bob"), by="operator", reason="lost key")
    await waiting(bench)
    # One is asked for, and the second line is there.
    assert await tell(bench) == [(0, ("carol",))]


async def test_who_stands_in_is_told_in_the_place_of_who_is_away():
    bench = await duty_bench()
    await delegate(bench)
    await waiting(bench)
    assert await tell(bench) == [(0, ("dan",))]


async def test_another_group_is_asked_later_where_policy_names_it():
    either = POLICIES.replace('"approvers:1"', '"approvers|ops:1"')
    bench = await duty_bench(
        policies=either, escalation=[{"afterSeconds": 30, "ask": "other", "group": "ops"}]
    )
    await waiting(bench)
    assert await tell(bench) == [(0, ("bob",))]
    assert await tell(bench, seconds=30) == [(1, ("erin", "frank"))]


async def test_a_group_that_policy_does_not_name_is_never_told_and_never_answers():
    bench = await duty_bench(escalation=[{"afterSeconds": 30, "ask": "other", "group": "ops"}])
    asked = await waiting(bench)
    await tell(bench)
    told = await tell(bench, seconds=30)
    assert told == [(1, ("bob", "carol", "erin"))]
    (entry,) = bench.entries(Tag.APPROVAL_ESCALATED)
    assert entry["why"] == "policy does not ask ops for this"
    with pytest.raises(Refused) as raised:
        await bench.answer(asked, by="frank")
    assert raised.value.code == "approval.not_asked"


async def test_who_was_not_told_may_answer_all_the_same():
    bench = await duty_bench()
    asked = await waiting(bench)
    await tell(bench)
    assert (await bench.answer(asked, by="erin")).state == "approved"


async def test_thousands_that_wait_are_looked_at_a_few_at_a_time():
    bench = await duty_bench()
    asked = await waiting(bench)
    for number in range(3 * DUE_MAX):
        bench.authority.approvals.add(replace(asked, id=f"copy-{number}"))
    bench.asking.duties = OnCallState(register=fresh(SqliteDutyRegister))
    assert await scan_waiting(bench.authority, bench.asking.duties) == 3 * DUE_MAX + 1
    assert [await tell_due(bench.recorder, bench.authority, bench.asking) for _ in range(4)] == [
        DUE_MAX,
        DUE_MAX,
        DUE_MAX,
        1,
    ]
    assert len(bench.channel.told) == 3 * DUE_MAX + 1
    assert await tell_due(bench.recorder, bench.authority, bench.asking) == 0


async def test_the_follower_tells_by_itself_and_ends_with_its_task():
    bench = await duty_bench()
    heard = anyio.Event()

    class Listening(MemoryApprovalChannel):
        def announce(self, approval, *, to=None, step=0):
            super().announce(approval, to=to, step=step)
            heard.set()

    bench.asking.channel = Listening()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow_duties, bench.recorder, bench.authority, bench.asking)
        asked = await waiting(bench)
        with anyio.fail_after(60):
            await heard.wait()
        tasks.cancel_scope.cancel()
    assert bench.channel.told == [(asked.id, ("bob",), 0)]


async def test_without_a_register_nothing_is_followed_and_everybody_is_told():
    bench = await duty_bench()
    bench.asking.duties = OnCallState()
    await follow_duties(bench.recorder, bench.authority, bench.asking)
    asked = await waiting(bench)
    assert bench.channel.told[-1] == (asked.id, None, 0)
    assert await forget_duties(bench.asking.duties, bench.clock) == 0
    await note_view(bench.authority, bench.asking, asked, person("bob"))


async def test_a_view_that_cannot_be_noted_counts_as_none():
    class Broken(SqliteDutyRegister):
        def view(self, approval, person, at):
            raise Unavailable("gone", code="register.unavailable", port="registers")

    bench = await duty_bench(bench=Bench(duties=fresh(Broken)))
    asked = await waiting(bench)
    await tell(bench)
    await note_view(bench.authority, bench.asking, asked, person("bob"))
    assert await tell(bench, seconds=60) == [(1, ("carol",))]


async def test_a_question_that_is_to_be_looked_at_sooner_is_looked_at_once():
    desk = OnCallState()
    assert desk.next_at() is None
    for at in (30, 10, 20):
        desk.look("a", at)
    assert desk.next_at() == 10
    assert desk.due(9) == []
    assert desk.due(40) == ["a"]
    assert desk.due(40) == []


async def test_without_a_register_no_step_is_told():
    bench = await duty_bench()
    bench.asking.duties = OnCallState()
    bench.asking.duties.look("a", bench.clock.now())
    assert await tell_due(bench.recorder, bench.authority, bench.asking) == 0

"""What else becomes of duties: callers that leave, registers that cannot be had, erased people, and figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio
import pytest

from answerable.adapters.sqlite import SqliteDutyRegister
from answerable.core.containment.hold import HoldTarget
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.subject import principal_subject
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unavailable
from answerable.flows.approval.notify_on_call import queue_health, route_of
from answerable.flows.escalation.appoint_deputy import appoint_deputy, end_duty
from answerable.flows.escalation.route_approval import follow_duties, note_view, scan_waiting, tell_due
from answerable.flows.recovery.recall_duties import RecalledDuties
from answerable.flows.revocation.place_hold import place_hold
from answerable.flows.state.duty_desk import OnCallState
from answerable.sdk.signing import signed_duty
from answerable.testing.builders import Bench
from answerable.testing.registers import fresh
from answerable.testing.samples import signing_key
from tests.worlds.duty import DAY, delegate, duty_bench, duty_document, person, tell, terms, waiting
from tests.worlds.parts import to_hold

pytestmark = [pytest.mark.anyio]


async def left_after(turns: int, call: Any) -> None:
    """The caller goes away after so many turns of the loop."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_awaited, call)
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()


async def _awaited(call: Any) -> None:
    await call


@pytest.mark.requirement("DUTY-05")
@pytest.mark.parametrize("turns", [1, 2, 3])
async def test_what_is_on_record_is_in_force_also_where_the_caller_leaves(turns):
    bench = await duty_bench()
    token = signed_duty(terms(bench), key=signing_key("bob"))
    await left_after(turns, appoint_deputy(bench.recorder, bench.authority, bench.asking, token))
    given = bench.entries(Tag.DUTY)
    register = bench.asking.duties.register
    assert len(register.delegations()) == len(given)
    for one in register.delegations():
        await left_after(turns, end_duty(bench.recorder, bench.asking.duties, one.id, by="bob"))
    ended = [one for one in bench.entries(Tag.DUTY) if one["change"] == "ended"]
    assert len(register.delegations()) == len(given) - len(ended)


@pytest.mark.requirement("DUTY-05")
async def test_a_person_who_is_held_hands_nothing_on_and_does_not_stand_in():
    bench = await duty_bench()
    await place_hold(*to_hold(bench.walk), HoldTarget("owner", "dan"), by="operator")
    with pytest.raises(Refused) as raised:
        await delegate(bench)
    assert raised.value.code == "held.owner"
    await place_hold(
        *to_hold(bench.walk), HoldTarget("key", signing_key("carol").public.thumbprint), by="operator"
    )
    with pytest.raises(Refused) as raised:
        await delegate(bench, of="carol", to="bob")
    assert raised.value.code == "held.key"


@pytest.mark.requirement("DUTY-05")
async def test_without_a_register_nobody_stands_in_and_nothing_is_recalled():
    bench = await duty_bench()
    asked = await waiting(bench)
    await delegate(bench)
    await bench.answer(asked, by="dan")
    bench.asking.duties = OnCallState()
    assert (await bench.refund(6000)).outcome is None
    with pytest.raises(Refused) as raised:
        await delegate(bench)
    assert raised.value.code == "duty.off"
    with pytest.raises(Refused):
        await end_duty(bench.recorder, bench.asking.duties, "x", by="bob")
    assert (
        await RecalledDuties(
            subject_keys=bench.recorder.subject_keys, duties=bench.asking.duties, clock=bench.clock
        ).restored()
        == 0
    )
    assert route_of(bench.authority, bench.asking, bench.authority.approvals.find(asked.id)).told == ()


@pytest.mark.requirement("DUTY-05")
async def test_what_belongs_to_an_erased_person_or_is_over_or_known_does_not_come_back():
    bench = await duty_bench()
    erased = await delegate(bench, of="carol")
    over = await delegate(bench, until=UnixMillis(bench.clock.now() + 1_000))
    known = await delegate(bench)
    register = fresh(SqliteDutyRegister)
    register.delegate(known)
    bench.asking.duties = OnCallState(register=register)
    keys = bench.recorder.subject_keys
    erased_key = keys.of(principal_subject("carol")).id

    class WithoutCarols:
        """As it is once her key is gone."""

        def of(self, subject):
            return keys.of(subject)

        def find(self, key_id):
            return None if key_id == erased_key else keys.find(key_id)

    bench.recorder.subject_keys = WithoutCarols()
    bench.clock.advance(2)
    recalled = RecalledDuties(
        subject_keys=bench.recorder.subject_keys, duties=bench.asking.duties, clock=bench.clock
    )
    for stored in bench.recorder.ledger.replay():
        if stored.tag == Tag.DUTY:
            recalled.note(stored, bench.recorder.ledger.origin)
    assert await recalled.restored() == 0
    assert list(register.delegations()) == [known]
    assert {erased.id, over.id}.isdisjoint(one.id for one in register.delegations())


@pytest.mark.requirement("DUTY-05")
async def test_an_answer_counts_by_the_very_delegation_that_it_names():
    bench = await duty_bench()
    asked = await waiting(bench)
    one = await delegate(bench)
    await bench.answer(asked, by="dan")
    other = fresh(SqliteDutyRegister)
    other.delegate(replace(one, to=person("frank")))
    bench.asking.duties = OnCallState(register=other)
    assert (await bench.refund(6000)).outcome is None


@pytest.mark.requirement("DUTY-04")
@pytest.mark.parametrize("at", ["scan", "tell"])
async def test_the_follower_goes_on_where_the_register_could_not_be_had(at, monkeypatch, caplog):
    class Faulty(SqliteDutyRegister):
        faults = 1

        def tell(self, approval, group, step, at):
            self.failed("tell")
            return super().tell(approval, group, step, at)

        def forget(self, *, before):
            self.failed("scan")
            return super().forget(before=before)

        def failed(self, where):
            if where == at and self.faults:
                self.faults -= 1
                raise Unavailable("the file is busy", code="register.unavailable", port="registers")

    monkeypatch.setattr("answerable.flows.escalation.route_approval.LOOK_SECONDS_MAX", 0.001)
    monkeypatch.setattr("answerable.flows.escalation.route_approval.AGAIN_MILLIS", 0)
    register = fresh(Faulty)
    bench = await duty_bench(bench=Bench(duties=register))
    register.faults, bench.asking.duties.scanned = 1, None
    asked = await waiting(bench)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow_duties, bench.recorder, bench.authority, bench.asking)
            while not register.told(asked.id):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
    assert "cannot be determined at the moment: the file is busy" in caplog.text


@pytest.mark.requirement("DUTY-04")
async def test_a_caller_that_leaves_between_record_and_telling_is_told_later_without_another_record():
    bench = await duty_bench()
    await waiting(bench)
    await tell(bench)
    bench.clock.advance(60)
    await left_after(2, tell_due(bench.recorder, bench.authority, bench.asking))
    bench.asking.duties.scanned = None
    await tell(bench)
    assert 1 in [step for _, _, step in bench.channel.told]
    assert len(bench.entries(Tag.APPROVAL_ESCALATED)) == 1


@pytest.mark.requirement("DUTY-04")
async def test_without_any_duty_nothing_is_scanned_and_what_is_elsewhere_is_left_to_others():
    bench = await Bench().registered()
    await bench.issue()
    asked = await waiting(bench)
    assert await scan_waiting(bench.authority, bench.asking.duties) == 0
    await bench.registered([duty_document()])
    bench.authority.approvals.add(replace(asked, id="of-no-mandate", mandate="gone"))
    bench.asking.duties.look("of-no-mandate", bench.clock.now())
    assert await tell_due(bench.recorder, bench.authority, bench.asking) == 1
    assert [name for name, _, _ in bench.channel.told if name == "of-no-mandate"] == []


@pytest.mark.requirement("DUTY-08")
async def test_figures_of_the_queue_count_what_was_seen_and_what_nobody_saw():
    bench = await duty_bench()
    health = queue_health(bench.authority, bench.asking, since=UnixMillis(0))
    assert (health.asked, health.view_p50_ms, health.view_p95_ms, health.backlog) == (0, None, None, ())
    first, second, third = [await waiting(bench, 6000 + number) for number in range(3)]
    bench.clock.advance(10)
    await note_view(bench.authority, bench.asking, first, person("bob"))
    bench.clock.advance(10)
    await bench.answer(second, by="carol", verdict="deny")
    health = queue_health(bench.authority, bench.asking, since=UnixMillis(0))
    assert (health.asked, health.seen, health.view_p50_ms, health.view_p95_ms) == (3, 2, 10_000, 20_000)
    assert (health.waiting, dict(health.backlog)["bob"], health.expired_unseen) == (2, 2, 0)
    # Of those who have as much to answer the names are in order.
    assert health.backlog == tuple((name, 2) for name in ("alice", "bob", "carol", "erin"))
    bench.clock.advance(DAY / 1000)
    health = queue_health(bench.authority, bench.asking, since=UnixMillis(0))
    assert (health.expired, health.expired_unseen, health.waiting) == (2, 1, 0)
    assert queue_health(bench.authority, bench.asking, since=bench.clock.now()).asked == 0
    assert route_of(bench.authority, bench.asking, third).turn == ()

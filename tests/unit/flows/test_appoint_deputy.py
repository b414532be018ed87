"""Who stands in for whom: for a time, signed, by a member alone, and never for whoever may not say yes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from answerable.adapters.sqlite import SqliteDutyRegister
from answerable.core.approval.deputy_statement import duty_challenge
from answerable.core.canonical import parse
from answerable.core.containment.hold import HoldTarget
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError, Malformed, Unverified
from answerable.flows.escalation.appoint_deputy import appoint_deputy, end_duty
from answerable.flows.recovery.recall_duties import RecalledDuties
from answerable.flows.revocation.place_hold import place_hold
from answerable.flows.state.duty_desk import OnCallState
from answerable.sdk.signing import signed_duty
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.registers import fresh
from answerable.testing.samples import OWNERSHIP, document, signing_key
from tests.worlds.duty import DAY, delegate, duty_bench, duty_document, terms, waiting, with_people
from tests.worlds.parts import to_hold

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("DUTY-05")]


async def refused(call, code: str) -> None:
    with pytest.raises(AnswerableError) as raised:
        await call
    assert raised.value.code == code


async def test_a_deputy_answers_while_it_lasts_and_it_counts_as_the_answer_of_who_is_away():
    bench = await duty_bench()
    asked = await waiting(bench)
    await refused(bench.answer(asked, by="dan"), "approval.not_asked")
    one = await delegate(bench)
    after = await bench.answer(asked, by="dan")
    assert after.state == "approved"
    assert after.fact().answered_by == (("sales", "dan"), ("approvers", "bob"))
    assert (await bench.refund(6000)).outcome is not None
    assert len(bench.upstream.effects) == 1
    (given,) = bench.entries(Tag.DUTY)
    (answer,) = bench.entries(Tag.APPROVAL_ANSWER)
    assert answer["duty"] == {"delegation": one.id, "group": "approvers", "of": given["of"]}
    assert answer["duty_ref"]["entry"] == given["index"]
    assert answer["person"] == given["to"]


async def test_the_deputy_and_who_they_stand_in_for_are_one_in_a_question():
    bench = await duty_bench()
    asked = await waiting(bench, 60_000)
    await delegate(bench)
    assert (await bench.answer(asked, by="dan")).state == "pending"
    assert (await bench.answer(bench.authority.approvals.find(asked.id), by="bob")).state == "pending"
    assert (await bench.answer(bench.authority.approvals.find(asked.id), by="carol")).state == "approved"


async def test_one_deputy_of_two_is_one():
    bench = await duty_bench()
    asked = await waiting(bench, 60_000)
    await delegate(bench)
    await delegate(bench, of="carol")
    assert (await bench.answer(asked, by="dan")).state == "pending"
    await refused(
        bench.answer(bench.authority.approvals.find(asked.id), by="dan"), "approval.answered_already"
    )
    assert (await bench.answer(bench.authority.approvals.find(asked.id), by="bob")).state == "pending"


async def test_who_may_answer_anyway_answers_in_their_own_right():
    bench = await duty_bench()
    asked = await waiting(bench, 60_000)
    await delegate(bench, to="carol")
    after = await bench.answer(asked, by="carol")
    assert after.answers[0].in_place_of is None
    assert (await bench.answer(after, by="bob")).state == "approved"


async def test_it_counts_from_its_beginning_to_the_very_last_millisecond_and_not_at_its_end():
    bench = await duty_bench()
    begins, ends = bench.clock.now() + 60_000, bench.clock.now() + 120_000
    await delegate(bench, since=UnixMillis(begins), until=UnixMillis(ends))
    for number, (at, counts) in enumerate(
        ((begins - 1, False), (begins, True), (ends - 1, True), (ends, False))
    ):
        bench.clock.jump((at - bench.clock.now()) / 1000)
        asked = await waiting(bench, 6000 + number)
        if counts:
            assert (await bench.answer(asked, by="dan")).state == "approved"
        else:
            await refused(bench.answer(asked, by="dan"), "approval.not_asked")


async def test_a_clock_that_is_set_back_before_its_beginning_lets_nobody_stand_in():
    bench = await duty_bench()
    bench.clock.advance(100)
    await delegate(bench)
    bench.clock.jump(-1)
    await refused(bench.answer(await waiting(bench), by="dan"), "approval.not_asked")


async def test_an_answer_that_was_given_in_time_counts_after_its_end():
    bench = await duty_bench()
    asked = await waiting(bench)
    await delegate(bench, until=UnixMillis(bench.clock.now() + 10_000))
    await bench.answer(asked, by="dan")
    bench.clock.advance(20)
    assert (await bench.refund(6000)).outcome is not None


@pytest.mark.parametrize(
    "how", ["ended", "held", "another key", "left", "disabled", "deputy left", "duty gone"]
)
async def test_what_was_answered_by_one_that_does_not_stand_any_more_runs_nothing(how):
    bench = await duty_bench()
    asked = await waiting(bench)
    one = await delegate(bench, of="erin")
    assert (await bench.answer(asked, by="dan")).state == "approved"
    await taken_away(bench, one.id, how)
    again = await bench.refund(6000)
    assert again.outcome is None
    assert not bench.upstream.effects
    await refused(bench.answer(await waiting(bench, 7000), by="dan"), "approval.not_asked")


async def taken_away(bench: Bench, delegation: str, how: str) -> None:
    everybody = with_people(bench_documents(), erin=["approvers", "ops"])
    documents = {one["metadata"]["name"]: one for one in everybody if one["kind"] == "Principal"}
    erin = documents["erin"]
    match how:
        case "ended":
            await end_duty(bench.recorder, bench.asking.duties, delegation, by="erin")
        case "held":
            await place_hold(*to_hold(bench.walk), HoldTarget("owner", "erin"), by="operator")
        case "another key":
            erin["spec"]["keys"] = [parse(signing_key("erin-2").public.jwk.encode())]
            await bench.registered([erin])
        case "left":
            erin["spec"]["groups"] = ["ops"]
            await bench.registered([erin])
        case "disabled":
            erin["spec"]["status"] = "disabled"
            await bench.registered([erin])
        case "deputy left":
            documents["dan"]["spec"]["groups"] = ["others", "approvers-not"]
            sales = document("Principal", "gina", {"groups": ["sales"]})
            await bench.registered([sales, documents["dan"]])
        case "duty gone":
            await bench.registered([duty_document(deputies=[])])


async def test_who_stands_in_for_whose_task_it_is_does_not_say_yes_and_may_say_no():
    bench = await duty_bench()
    asked = await waiting(bench)
    # Alice is an approver, gave the task, and owns the agent.
    await delegate(bench, of="alice")
    await refused(bench.answer(asked, by="dan"), "approval.not_asked")
    assert (await bench.answer(asked, by="dan", verdict="deny")).state == "denied"


async def test_a_deputy_who_gave_the_task_does_not_say_yes_to_it():
    bench = await duty_bench()
    spec = {"purpose": "Answer customers", "issuers": ["sales"], "ownership": {**OWNERSHIP}}
    await bench.registered([document("UseCase", "support", spec)])
    await bench.issue("m-2", principal="dan")
    await delegate(bench)
    asked = (await bench.refund(6000, mandate="m-2")).approval
    assert asked is not None
    await refused(bench.answer(asked, by="dan"), "approval.own_mandate")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"of": "dan", "to": "bob"}, "duty.not_member"),
        ({"to": "bob"}, "duty.oneself"),
        ({"to": "frank"}, "duty.not_deputy"),
        ({"to": "scout"}, "person.unknown"),
        ({"to": "nobody"}, "person.unknown"),
        ({"group": "sales", "of": "dan", "to": "bob"}, "duty.none"),
        ({"until": 1}, "duty.malformed"),
        ({"reason": ""}, "duty.malformed"),
        ({"reason": "two\nlines"}, "duty.malformed"),
        ({"reason": "x" * 501}, "duty.malformed"),
        ({"id": "short"}, "duty.malformed"),
        ({"audience": "another.example"}, "duty.audience"),
        ({"signer": "carol"}, "duty.key"),
    ],
)
async def test_what_may_not_be_is_refused(changes, code):
    bench = await duty_bench()
    await refused(delegate(bench, **changes), code)
    assert bench.entries(Tag.DUTY) == []
    await refused(bench.answer(await waiting(bench), by="dan"), "approval.not_asked")


async def test_times_that_may_not_be_are_refused():
    bench = await duty_bench()
    now = bench.clock.now()
    for changes, code in (
        ({"until": now + 14 * DAY + 1}, "duty.too_long"),
        ({"since": now - 20 * DAY, "until": now + 14 * DAY + 1}, "duty.too_long"),
        ({"since": now + 91 * DAY, "until": now + 92 * DAY}, "duty.too_long"),
        ({"since": now - DAY, "until": now}, "duty.over"),
        ({"at": now - 5 * 60_000}, "duty.stale"),
        ({"at": now + 61_000}, "duty.stale"),
    ):
        await refused(delegate(bench, **changes), code)
    one = await delegate(bench, since=UnixMillis(now - 20 * DAY), until=UnixMillis(now + 14 * DAY))
    assert one.since == now


async def test_an_agent_hands_nothing_on_and_takes_nothing():
    bench = await duty_bench()
    wanted = terms(bench, of="scout")
    with pytest.raises(Unverified) as raised:
        await appoint_deputy(
            bench.recorder, bench.authority, bench.asking, signed_duty(wanted, key=signing_key("scout"))
        )
    assert raised.value.code == "duty.key"


async def test_a_deputy_hands_nothing_on():
    documents = [duty_document(), duty_document("sales")]
    bench = await duty_bench()
    await bench.registered(documents)
    await delegate(bench)
    await refused(delegate(bench, of="dan", to="carol"), "duty.not_member")


async def test_a_token_counts_once_also_after_it_was_ended_and_for_whoever_races():
    bench = await duty_bench()
    token = signed_duty(terms(bench), key=signing_key("bob"))
    one = await appoint_deputy(bench.recorder, bench.authority, bench.asking, token)
    await refused(appoint_deputy(bench.recorder, bench.authority, bench.asking, token), "duty.duplicate")
    await end_duty(bench.recorder, bench.asking.duties, one.id, by="dan")
    await refused(appoint_deputy(bench.recorder, bench.authority, bench.asking, token), "duty.duplicate")
    await refused(end_duty(bench.recorder, bench.asking.duties, one.id, by="dan"), "duty.ended")
    await refused(end_duty(bench.recorder, bench.asking.duties, "x" * 26, by="dan"), "duty.unknown")
    assert [one["change"] for one in bench.entries(Tag.DUTY)] == ["given", "ended"]


async def test_one_person_has_so_many_and_no_more():
    bench = await duty_bench()
    for _ in range(16):
        await delegate(bench)
    await refused(delegate(bench), "duty.too_many")
    await delegate(bench, of="carol")


async def test_a_weak_signature_of_who_is_away_carries_no_strong_answer():
    bench = await duty_bench()
    asked = await waiting(bench)
    await delegate(bench)
    bench.walk.limits = bench.asking.limits = replace(
        bench.walk.limits, signatures=("any", "any", "any", "passkey")
    )
    register = bench.asking.duties.register
    strong = fresh(SqliteDutyRegister)
    for one in register.delegations():
        strong.delegate(replace(one, strength="passkey"))
    # By key file nobody answers this tier. What matters here is who would be let in.
    from answerable.flows.validity.deputy_validity import in_place_of

    now = bench.clock.now()
    assert (
        in_place_of(
            bench.recorder.ledger, bench.authority, bench.asking, asked, "dan", verdict="approve", now=now
        )
        is None
    )
    bench.asking.duties = OnCallState(register=strong)
    assert (
        in_place_of(
            bench.recorder.ledger, bench.authority, bench.asking, asked, "dan", verdict="approve", now=now
        )
        is not None
    )


async def test_an_older_register_learns_from_the_ledger_what_was_given_and_ended():
    bench = await duty_bench()
    stays, gone = await delegate(bench), await delegate(bench, of="carol")
    await end_duty(bench.recorder, bench.asking.duties, gone.id, by="operator")
    register = fresh(SqliteDutyRegister)
    bench.asking.duties = OnCallState(register=register)
    recalled = RecalledDuties(
        subject_keys=bench.recorder.subject_keys, duties=bench.asking.duties, clock=bench.clock
    )
    for stored in bench.recorder.ledger.replay():
        if stored.tag == Tag.DUTY:
            recalled.note(stored, bench.recorder.ledger.origin)
    assert await recalled.restored() == 2
    assert list(register.delegations()) == [stays]


async def test_the_ledger_says_who_and_until_when_and_no_name():
    bench = await duty_bench()
    one = await delegate(bench)
    (given,) = bench.entries(Tag.DUTY)
    assert (given["change"], given["group"], given["delegation"]) == ("given", "approvers", one.id)
    assert (given["since"], given["until"], given["strength"]) == (one.since, one.until, "any")
    text = json.dumps(given)
    assert "bob" not in text
    assert "dan" not in text
    _, fields = bench.opened(given["index"])
    assert (fields["of"], fields["to"], fields["reason"]) == ("bob", "dan", "at the dentist's")


async def test_no_two_delegations_share_a_challenge():
    bench = await duty_bench()
    base = terms(bench)
    nonce = bytes(32)
    other = [
        replace(base, to="erin"),
        replace(base, until=UnixMillis(base.until + 1)),
        replace(base, reason="because"),
        replace(base, group="sales"),
    ]
    made = {duty_challenge(one, nonce) for one in (base, *other)} | {duty_challenge(base, b"\1" * 32)}
    assert len(made) == 6
    with pytest.raises(Malformed):
        duty_challenge(base, b"")

"""An approver asks for less: nothing runs by that, nobody is misled by it, and what is proposed is decided anew."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from answerable.adapters.sqlite.approval_rows import body_of, from_body
from answerable.apps.mcp_gateway import translate
from answerable.core.approval.action_object import object_in
from answerable.core.approval.approval import NOTHING_SHOWN
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError, Malformed, Refused
from answerable.flows.escalation.propose_narrower import asked_as_proposed, narrowable_of
from answerable.flows.state.walk_limits import WalkLimits
from answerable.sdk.denial import denial_in
from answerable.testing.builders import POLICIES, Bench, bench_documents, with_spending
from tests.worlds.obligation import story
from tests.worlds.walk import fields_of

pytestmark = pytest.mark.anyio
LESS = {"reason": "narrower", "narrower": '{"amount":5500}'}


async def waiting(amount: int = 9000, **how: Any) -> tuple[Bench, Any]:
    bench = await Bench(**how).registered()
    await bench.issue()
    found = (await bench.refund(amount)).approval
    assert found is not None
    return bench, found


async def narrowed(**words: str) -> tuple[Bench, Any]:
    bench, asked = await waiting()
    return bench, await bench.answer(asked, verdict="deny", **{**LESS, **words})


async def refused(bench: Bench, amount: int = 9000) -> Refused:
    with pytest.raises(Refused) as told:
        await bench.refund(amount)
    return told.value


@pytest.mark.requirement("REPLY-06")
async def test_a_proposal_ends_the_question_and_its_own_question_is_answered_over_its_own_card():
    bench, old = await narrowed(comment="half is enough")
    assert (old.state, old.answers[0].reason) == ("denied", "narrower")
    no = await refused(bench)
    assert no.denial is not None
    assert no.denial["narrower"] == {
        "arguments": {"amount": 5500, "case": "4711"},
        "changed": {"amount": 5500},
    }
    assert (no.denial["reason"], no.denial["retry"]) == ("narrower", "changed")
    assert not bench.upstream.effects
    # The agent asks for exactly that: a question of its own, which nobody has answered.
    new = (await bench.refund(5500)).approval
    assert new is not None
    assert (new.state, new.answers) == ("pending", ())
    assert asked_as_proposed(bench.authority.approvals, bench.clock, old) == new
    assert object_in(new.shown)["arguments"] == {"amount": 5500, "case": "4711"}
    assert old.id in new.card.bytes.decode(), "the card says where it comes from"
    assert new.shown.digest != old.shown.digest
    assert not bench.upstream.effects
    assert (await bench.answer(new)).state == "approved"
    assert (await bench.refund(5500)).outcome is not None
    assert [one.arguments for one in bench.upstream.effects] == [{"amount": 5500, "case": "4711"}]
    await refused(bench)


@pytest.mark.requirement("REPLY-06")
async def test_the_answer_to_the_old_question_is_none_to_the_new_one():
    bench, asked = await waiting()
    first = await bench.answer(asked, verdict="deny", **LESS)
    new = (await bench.refund(5500)).approval
    assert new is not None
    from answerable.flows.approval.answer_approval import answer_approval

    with pytest.raises(AnswerableError) as told:
        await answer_approval(
            bench.recorder, bench.authority, bench.asking, bench.counters, new.id, first.answers[0].token
        )
    assert told.value.code == "approval.other"
    assert bench.authority.approvals.find(new.id) == new


@pytest.mark.requirement("REPLY-06")
async def test_what_is_proposed_is_decided_by_the_policy_of_then():
    bench, _ = await narrowed()
    stop = '@id("stop") @reason("refunds are stopped") forbid (principal, action == Action::"crm.refund", resource);'
    await bench.registered(bench_documents(POLICIES + stop))
    assert (await refused(bench, 5500)).code == "stop"
    await bench.registered(bench_documents(POLICIES.replace("approvers:1", "approvers:2")))
    new = (await bench.refund(5500)).approval
    assert new is not None
    assert new.requirements[0].count == 2
    await bench.registered(bench_documents(POLICIES.replace("amount > 5000", "amount > 6000")))
    assert (await bench.refund(5500)).outcome is not None, "policy asks nobody for so little by now"


@pytest.mark.requirement("REPLY-06")
async def test_below_what_policy_asks_about_it_simply_runs():
    bench, _ = await narrowed(narrower='{"amount":100}')
    assert (await bench.refund(100)).outcome is not None
    assert len(bench.entries(Tag.APPROVAL_ASKED)) == 1


@pytest.mark.requirement("REPLY-06")
@pytest.mark.parametrize("other", [5499, 5501, 6000])
async def test_any_other_amount_is_no_amount_that_was_proposed(other):
    bench, old = await narrowed()
    new = (await bench.refund(other)).approval
    assert new is not None
    assert old.id not in new.card.bytes.decode()
    assert asked_as_proposed(bench.authority.approvals, bench.clock, old) is None
    assert not bench.upstream.effects


@pytest.mark.requirement("REPLY-06")
async def test_another_agent_or_task_gains_nothing_by_a_proposal():
    bench, old = await narrowed()
    await bench.issue("m-2")
    await bench.issue("m-3", agent="rover")
    for how in ({"mandate": "m-2"}, {"mandate": "m-3", "agent": "rover"}):
        new = (await bench.refund(5500, **how)).approval
        assert new is not None
        assert old.id not in new.card.bytes.decode()
    assert not bench.upstream.effects


@pytest.mark.requirement("REPLY-06")
async def test_of_a_proposal_and_a_yes_at_once_one_counts_and_never_both():
    bench, asked = await waiting()
    first, second = await asyncio.gather(
        bench.answer(asked, by="bob", verdict="deny", **LESS),
        bench.answer(asked, by="carol"),
        return_exceptions=True,
    )
    assert not isinstance(first, BaseException)
    assert isinstance(second, Refused)
    assert second.code == "approval.changed_meanwhile"
    assert [entry["state"] for entry in bench.entries(Tag.APPROVAL_ANSWER)] == ["denied"]
    await refused(bench)


@pytest.mark.requirement("REPLY-06")
async def test_after_one_of_two_said_yes_a_proposal_of_the_other_is_a_no():
    bench, asked = await waiting(60_000)
    assert (await bench.answer(asked, by="bob")).state == "pending"
    after = await bench.answer(bench.authority.approvals.find(asked.id), by="carol", verdict="deny", **LESS)
    assert (after.state, len(after.answers)) == ("denied", 2)
    new = (await bench.refund(5500)).approval
    assert new is not None
    assert new.answers == (), "no yes is carried over"


@pytest.mark.requirement("REPLY-06")
@pytest.mark.parametrize(("by", "code"), [("dan", "approval.not_asked"), ("bob", "approval.not_pending")])
async def test_neither_who_was_not_asked_nor_anybody_twice_proposes_anything(by, code):
    bench, asked = await waiting()
    if by == "bob":
        await bench.answer(asked, by="carol", verdict="deny", **LESS)
    size = bench.recorder.ledger.size
    with pytest.raises(Refused) as told:
        await bench.answer(asked, by=by, verdict="deny", **{**LESS, "narrower": '{"amount":5400}'})
    assert told.value.code == code
    assert bench.recorder.ledger.size == size
    found = bench.authority.approvals.find(asked.id)
    assert found is not None
    assert b"5400" not in body_of(found)


WIDER = {
    "more": '{"amount":9001}',
    "the same": '{"amount":9000}',
    "nothing": '{"amount":0}',
    "below nothing": '{"amount":-5}',
    "a text": '{"amount":"5500"}',
    "a truth": '{"amount":true}',
    "a part": '{"amount":5500.5}',
    "none": '{"amount":null}',
    "whom it is about": '{"amount":5500,"case":"4712"}',
    "whom it is about alone": '{"case":"471"}',
    "another argument": '{"amount":5500,"to":"mallory"}',
    "no change": "{}",
    "a reserved member": '{"__entity":1}',
}


@pytest.mark.requirement("REPLY-05")
@pytest.mark.parametrize("what", WIDER)
async def test_what_is_wider_other_or_added_is_no_proposal(what):
    bench, asked = await waiting()
    size = bench.recorder.ledger.size
    with pytest.raises(Refused) as told:
        await bench.answer(asked, verdict="deny", reason="narrower", narrower=WIDER[what])
    assert told.value.code == "approval.not_narrower"
    assert bench.recorder.ledger.size == size
    assert bench.authority.approvals.find(asked.id).state == "pending"


@pytest.mark.requirement("REPLY-05")
@pytest.mark.parametrize(
    "text", ["[]", "5500", '{"amount": 5500}', '{"amount":5500,"amount":9001}', "{", "\u202e"]
)
async def test_a_proposal_has_one_spelling(text):
    bench, asked = await waiting()
    with pytest.raises(Malformed):
        await bench.answer(asked, verdict="deny", reason="narrower", narrower=text)
    assert bench.authority.approvals.find(asked.id).state == "pending"


@pytest.mark.requirement("REPLY-05")
async def test_of_a_capability_that_is_gone_nobody_knows_what_is_less():
    bench, asked = await waiting()
    gone = replace(asked, capability="crm.gone")
    assert bench.authority.approvals.replace(gone, was=asked)
    assert narrowable_of(bench.authority.registry, gone) == ()
    with pytest.raises(Refused) as told:
        await bench.answer(gone, verdict="deny", **LESS)
    assert told.value.code == "approval.not_narrower"


@pytest.mark.requirement("REPLY-06")
async def test_a_proposal_survives_a_restart_and_ends_with_the_no():
    bench, old = await narrowed()
    assert from_body(body_of(old), state="denied") == old
    assert from_body(body_of(replace(old, proposed=NOTHING_SHOWN)), state="denied").proposed == NOTHING_SHOWN
    bench.clock.advance(WalkLimits().approval_ttl_ms / 1000)
    new = (await bench.refund(5500)).approval
    assert new is not None
    assert old.id not in new.card.bytes.decode(), "what has run out is not pointed at"


@pytest.mark.requirement("REPLY-07")
async def test_the_ledger_and_the_timeline_tell_of_a_proposal():
    bench, old = await narrowed(comment="half is enough")
    (fields,) = fields_of(bench, Tag.APPROVAL_ANSWER)
    assert (fields["denial"], fields["narrower"]) == ("narrower", {"amount": 5500})
    told = story(bench, old.id)
    assert "because: less would do" in told
    assert 'less was proposed instead: {"amount":5500}' in told
    assert "comment: half is enough" in told


@pytest.mark.requirement("REPLY-03", "REPLY-04", "REPLY-06")
@pytest.mark.parametrize("version", ["2026-07-28", "2025-11-25"])
async def test_an_agent_gets_the_very_arguments_to_ask_with(version):
    bench, _ = await narrowed()
    result = translate.raised(await refused(bench), method="tools/call", version=version)
    assert '{"amount":5500}' in result["content"][0]["text"]
    said = denial_in(result["structuredContent"])
    assert said is not None
    assert said.narrower is not None
    new = (await bench.act("refund", {**said.narrower})).approval
    assert new is not None
    assert await bench.answer(new)
    assert (await bench.act("refund", {**said.narrower})).outcome is not None


@pytest.mark.requirement("REPLY-05")
async def test_amounts_and_budgets_are_limits_and_who_it_is_about_is_not():
    bench, asked = await waiting()
    assert [(one.name, one.value) for one in narrowable_of(bench.authority.registry, asked)] == [
        ("amount", 9000)
    ]
    spending = await Bench().registered([with_spending(one) for one in bench_documents()])
    await spending.issue()
    found = (await spending.refund(9000)).approval
    assert found is not None
    assert [one.name for one in narrowable_of(spending.walk.authority.registry, found)] == ["amount"]

"""Between a yes and the act: whatever is not as it was shown any more does not run by that yes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from answerable.adapters.sqlite.approval_rows import body_of, from_body
from answerable.core.approval.action_object import object_in
from answerable.core.approval.approval import NOTHING_SHOWN
from answerable.core.approval.challenge import NONCE_MILLIS_MAX
from answerable.core.approval.view_challenges import PER_OPENING_MAX
from answerable.core.canonical import parse
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unverified
from answerable.flows.approval.answer_approval import answer_approval
from answerable.flows.approval.open_approval import open_to_answer
from answerable.sdk.signing import signed_answer
from answerable.testing.builders import POLICIES, Bench, bench_documents, nonce_for, with_spending
from answerable.testing.samples import AUDIENCE, signing_key
from answerable.testing.tool_pins import ApprovedAsSeen
from tests.worlds.walk import fields_of

pytestmark = pytest.mark.anyio


def capability(**changes: Any) -> list[Any]:
    """The documents, with the refund said to be something else."""
    found: list[Any] = bench_documents()
    for one in found:
        if one["kind"] == "Capability" and one["metadata"]["name"] == "crm.refund":
            one["spec"] |= changes
    return found


def policies(more: str) -> list[Any]:
    return [
        {**one, "spec": {"policies": one["spec"]["policies"] + more}} if one["kind"] == "PolicySet" else one
        for one in bench_documents()
    ]


async def approved(bench: Bench | None = None) -> tuple[Bench, Any]:
    bench = bench or await Bench().registered()
    await bench.issue()
    asked = (await bench.refund(6000)).approval
    assert asked is not None
    assert (await bench.answer(asked)).state == "approved"
    return bench, asked


CHANGES: dict[str, Any] = {
    "the capability's sentence": (lambda: capability(title="send flowers"), "title"),
    "that it can be undone": (lambda: capability(reversible=True), "what the capability is said to do"),
    "a rule that was not shown": (
        lambda: policies(
            '@id("late")\n@reason("late")\n@approve("approvers:1")\n'
            'forbid (principal, action == Action::"crm.refund", resource);\n'
        ),
        "the rules that ask",
    ),
    "how much it moves": (lambda: [with_spending(one) for one in bench_documents()], "the amounts"),
}


@pytest.mark.requirement("SIGN-03")
@pytest.mark.parametrize("what", CHANGES)
async def test_after_a_change_people_are_asked_anew_and_told_what_changed(what):
    bench, asked = await approved()
    changed, told = CHANGES[what]
    await bench.registered(changed())
    anew = (await bench.refund(6000)).approval
    assert anew is not None
    assert anew.id != asked.id
    old = bench.authority.approvals.find(asked.id)
    assert old is not None
    assert (old.state, told in " ".join(old.void_because)) == ("void", True), old.void_because
    assert not bench.upstream.effects
    assert (await bench.answer(anew)).state == "approved"
    assert (await bench.refund(6000)).outcome is not None


@pytest.mark.requirement("SIGN-03")
async def test_a_tool_that_is_another_by_now_is_shown_again():
    bench, asked = await approved()
    bench.upstream.hints = {**bench.upstream.hints, "refund": {"title": "now it wires money abroad"}}
    # Its owner looked at the new definition and let it through; who approved the old one did not.
    bench.walk.verification.pins = ApprovedAsSeen(bench.authority.registry, bench.upstream)
    anew = (await bench.refund(6000)).approval
    assert anew is not None
    assert anew.id != asked.id
    old = bench.authority.approvals.find(asked.id)
    assert old is not None
    assert "the tool's definition" in old.void_because


@pytest.mark.requirement("SIGN-03")
async def test_while_it_waits_a_change_is_asked_about_at_once():
    bench = await Bench().registered()
    await bench.issue()
    first = (await bench.refund(6000)).approval
    await bench.registered(capability(title="send flowers"))
    second = (await bench.refund(6000)).approval
    assert first is not None
    assert second is not None
    assert second.id != first.id
    assert first.id in second.card.bytes.decode(), "the card says that this was asked before"
    with pytest.raises(Refused) as told:
        await bench.answer(first)
    assert told.value.code == "approval.not_pending"


@pytest.mark.requirement("SIGN-03")
async def test_rules_that_were_shown_may_go():
    bench, _ = await approved()
    await bench.registered(bench_documents(POLICIES.replace("amount > 5000", "amount > 7000")))
    assert (await bench.refund(6000)).outcome is not None


@pytest.mark.requirement("SIGN-01")
async def test_the_ledger_has_the_object_and_the_card_that_were_signed():
    bench, asked = await approved()
    (fields,) = fields_of(bench, Tag.APPROVAL_ASKED)
    assert fields["object"] == parse(asked.shown.bytes)
    assert fields["card"] == parse(asked.card.bytes)
    value = object_in(asked.shown)
    assert (value["txn"], value["arguments"]) == (asked.id, {"amount": 6000, "case": "4711"})
    assert "the customer asked" not in asked.card.bytes.decode(), "the agent's words are no part of it"
    assert asked.claimed == "the customer asked"


Token = Callable[..., str]


def token_over(bench: Bench, asked: Any, nonce: bytes) -> str:
    return signed_answer(
        asked,
        nonce=nonce,
        by=asked.principal.__class__("bob"),
        verdict="approve",
        audience=AUDIENCE,
        at=bench.clock.now(),
        key=signing_key("bob"),
    )


@pytest.mark.requirement("SIGN-02")
async def test_a_nonce_is_for_one_answer_to_one_approval_for_five_minutes():
    bench = await Bench().registered()
    await bench.issue()
    asked, other = (await bench.refund(6000)).approval, (await bench.refund(6001)).approval
    assert asked is not None
    assert other is not None
    of_other, late = (
        nonce_for(bench.asking.openings, bench.clock, bench.walk.entropy, other),
        nonce_for(bench.asking.openings, bench.clock, bench.walk.entropy, asked),
    )
    bench.clock.advance(NONCE_MILLIS_MAX / 1000)
    good = nonce_for(bench.asking.openings, bench.clock, bench.walk.entropy, asked)
    for nonce in (of_other, late, bytes(32)):
        with pytest.raises(Unverified) as told:
            await answer_approval(
                bench.recorder,
                bench.authority,
                bench.asking,
                bench.counters,
                asked.id,
                token_over(bench, asked, nonce),
                typed="4711",
            )
        assert told.value.code == "approval.nonce"
    token = token_over(bench, asked, good)
    await answer_approval(
        bench.recorder, bench.authority, bench.asking, bench.counters, asked.id, token, typed="4711"
    )
    with pytest.raises((Refused, Unverified)):
        await answer_approval(
            bench.recorder, bench.authority, bench.asking, bench.counters, asked.id, token, typed="4711"
        )


@pytest.mark.requirement("SIGN-02")
async def test_who_only_looks_does_not_use_up_the_nonces_of_others():
    bench = await Bench().registered()
    await bench.issue()
    asked, other = (await bench.refund(6000)).approval, (await bench.refund(6001)).approval
    assert asked is not None
    assert other is not None
    mine, _, _ = open_to_answer(
        bench.recorder.ledger, bench.authority, bench.asking.openings, bench.walk.entropy, asked.id
    )
    for _ in range(PER_OPENING_MAX * 3):
        open_to_answer(
            bench.recorder.ledger, bench.authority, bench.asking.openings, bench.walk.entropy, other.id
        )
    assert (
        await answer_approval(
            bench.recorder,
            bench.authority,
            bench.asking,
            bench.counters,
            asked.id,
            token_over(bench, asked, mine),
            typed="4711",
        )
    ).state == "approved"
    with pytest.raises(Refused) as told:
        open_to_answer(
            bench.recorder.ledger, bench.authority, bench.asking.openings, bench.walk.entropy, asked.id
        )
    assert told.value.code == "approval.not_pending"


@pytest.mark.requirement("SIGN-04")
async def test_nothing_runs_by_an_approval_that_showed_nothing():
    bench, asked = await approved()
    now = bench.authority.approvals.find(asked.id)
    assert now is not None
    bare = replace(now, shown=NOTHING_SHOWN, card=NOTHING_SHOWN)
    assert from_body(body_of(bare), state="approved") == bare
    assert bench.authority.approvals.replace(bare, was=now)
    anew = (await bench.refund(6000)).approval
    assert anew is not None
    assert anew.id != asked.id
    assert not bench.upstream.effects

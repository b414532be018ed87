"""Breaking the glass: who may, for what, for how long; and every way in which it would be a way round."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.adapters.cedar import published
from answerable.core.approval.challenge import challenge
from answerable.core.approval.message import notice_message
from answerable.core.approval.typed_name import name_to_type
from answerable.core.approval.words import Words
from answerable.core.containment.hold import holdable
from answerable.core.identity.names.principal import PrincipalId
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.revocation import RevocationTarget
from answerable.core.registry.parsing.active import snapshot_of
from answerable.errors import Malformed, Refused, Unverified
from answerable.flows.approval.answer_approval import answer_approval, answer_by_passkey
from answerable.flows.approval.open_approval import open_to_answer
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.state.walk_limits import WalkLimits
from answerable.sdk.signing import signed_answer
from answerable.testing.builders import POLICIES, bench_documents, nonce_for
from answerable.testing.samples import AUDIENCE, signing_key
from answerable.testing.soft_passkey import SoftPasskey
from answerable.verify.ledger_replay import replay_entries
from tests.worlds.duty import delegate, duty_bench
from tests.worlds.glass import BREAKABLE, REASON, broken, now, waiting
from tests.worlds.hold import stop
from tests.worlds.mandate import changed
from tests.worlds.parts import to_apply
from tests.worlds.passkey import enrolled, passkey_bench
from tests.worlds.revocation import revoke_now
from tests.worlds.stories import lines_of

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("GLASS-01")
async def test_who_is_named_lets_exactly_this_run_once():
    bench, approval = await waiting()
    assert (await broken(bench, approval)).state == "approved"
    assert (await bench.refund(6001)).outcome is None, "another amount is another action"
    assert (await bench.refund(6000)).outcome is not None
    assert (await bench.refund(6000)).outcome is None, "and it ran once"


@pytest.mark.requirement("GLASS-01")
async def test_what_ran_so_is_decided_again_alike_by_a_stranger():
    bench, approval = await waiting()
    await broken(bench, approval)
    assert (await bench.refund(6000)).outcome is not None
    found = list(replay_entries(bench.recorder.ledger.replay(), bench.recorder.subject_keys.find))
    assert {one.verdict for one in found} == {"same"}


@pytest.mark.requirement("GLASS-01")
async def test_the_card_says_who_may_let_it_run():
    _, approval = await waiting()
    assert '["may run without","by one of sales"]' in approval.card.bytes.decode()
    assert '"/break_glass/0"' in approval.card.bytes.decode()
    _, other = await waiting(policies=POLICIES)
    assert "break_glass" not in other.shown.bytes.decode()


@pytest.mark.requirement("GLASS-02")
@pytest.mark.parametrize("by", ["bob", "carol"])
async def test_who_is_not_named_does_not_break_it(by: str):
    """Not even those who could say yes."""
    bench, approval = await waiting()
    with pytest.raises(Refused) as told:
        await broken(bench, approval, by=by)
    assert told.value.code == "break_glass.not_allowed"
    assert now(bench, approval).state == "pending"


@pytest.mark.requirement("GLASS-02")
async def test_where_no_rule_names_anybody_nobody_does():
    bench, approval = await waiting(policies=POLICIES)
    for by in ("dan", "bob", "carol"):
        with pytest.raises(Refused) as told:
            await broken(bench, approval, by=by)
        assert told.value.code == "break_glass.not_allowed"


@pytest.mark.requirement("GLASS-02")
async def test_one_rule_that_names_nobody_keeps_it_whole():
    bench, approval = await waiting(60_000)
    with pytest.raises(Refused) as told:
        await broken(bench, approval)
    assert told.value.code == "break_glass.not_allowed"


@pytest.mark.requirement("GLASS-02")
async def test_of_two_rules_that_name_others_one_must_be_in_both():
    policies = BREAKABLE.replace('@approve("approvers:2")', '@approve("approvers:2") @break_glass("on-call")')
    bench, approval = await waiting(60_000, policies=policies)
    with pytest.raises(Refused):
        await broken(bench, approval)
    documents = changed(bench_documents(policies), "Principal", "dan", groups=["sales", "on-call"])
    bench, approval = await waiting(60_000, documents=documents)
    assert (await broken(bench, approval)).state == "approved"
    assert (await bench.refund(60_000)).outcome is not None


@pytest.mark.requirement("GLASS-02")
async def test_what_is_forbidden_outright_waits_for_nobody():
    bench, _ = await waiting()
    with pytest.raises(Refused):
        await bench.refund(2_000_000)


@pytest.mark.requirement("GLASS-02")
@pytest.mark.parametrize("part", ["task", "agent"])
async def test_nobody_breaks_it_for_a_task_or_an_agent_of_their_own(part: str):
    given = changed(bench_documents(BREAKABLE), "Principal", "alice", groups=["approvers", "sales"])
    by = "alice"
    if part == "agent":
        scout = next(one for one in given if isinstance(one, dict) and one["metadata"] == {"name": "scout"})
        ownership = {**scout["spec"]["ownership"], "owner": "dan"}
        given, by = changed(given, "Agent", "scout", ownership=ownership), "dan"
    bench, approval = await waiting(documents=given)
    with pytest.raises(Refused) as told:
        await broken(bench, approval, by=by)
    assert told.value.code == {"task": "approval.own_mandate", "agent": "approval.own_agent"}[part]
    assert now(bench, approval).state == "pending"


@pytest.mark.requirement("GLASS-03")
@pytest.mark.parametrize("reason", ["", "urgent", " " * 40])
async def test_without_a_reason_it_stays_whole(reason: str):
    bench, approval = await waiting()
    with pytest.raises(Refused) as told:
        await broken(bench, approval, reason=reason)
    assert told.value.code == "break_glass.no_reason"


@pytest.mark.requirement("GLASS-03")
async def test_no_yes_is_turned_into_it():
    """By key the verdict is signed; by passkey it is in the challenge, and so is the reason."""
    bench, approval = await waiting()
    token = signed_answer(
        approval,
        nonce=nonce_for(bench.asking.openings, bench.clock, bench.walk.entropy, approval),
        by=PrincipalId("dan"),
        verdict="approve",
        comment=REASON,
        audience=AUDIENCE,
        at=bench.clock.now(),
        key=signing_key("dan"),
    )
    with pytest.raises(Refused) as told:
        await answer_approval(
            bench.recorder,
            bench.authority,
            bench.asking,
            bench.counters,
            approval.id,
            token,
            typed=name_to_type(approval),
        )
    assert told.value.code == "approval.not_asked", "dan's yes is none, and no broken glass"
    header, body, signature = token.split(".")
    turned = ".".join((header, body.replace(body[40:44], "AAAA"), signature))
    with pytest.raises((Unverified, Malformed)):
        await answer_approval(
            bench.recorder, bench.authority, bench.asking, bench.counters, approval.id, turned
        )


@pytest.mark.requirement("GLASS-03")
@pytest.mark.parametrize("signed", ["approve", "other reason", "as it is"])
async def test_a_passkey_signs_the_verdict_and_the_reason(signed: str):
    bench = await passkey_bench()
    await apply_registry(*to_apply(bench.walk), bench_documents(BREAKABLE), by="operator")
    await bench.issue()
    approval = (await bench.refund(6000)).approval
    assert approval is not None
    device = SoftPasskey(seed="dan")
    await enrolled(bench, "dan", device)
    nonce, shown, _ = open_to_answer(
        bench.recorder.ledger, bench.authority, bench.asking.openings, bench.walk.entropy, approval.id
    )
    parts: dict[str, Any] = {"nonce": nonce, "action": shown.shown.digest, "rendering": shown.card.digest}
    over = {
        "approve": {"verdict": "approve"},
        "other reason": {"verdict": "break_glass", "words": Words(comment="something else, and long enough")},
        "as it is": {"verdict": "break_glass", "words": Words(comment=REASON)},
    }[signed]
    assertion = device.assertion(challenge(**parts, **over))
    given = answer_by_passkey(
        bench.recorder,
        bench.authority,
        bench.asking,
        bench.counters,
        approval.id,
        person=PrincipalId("dan"),
        verdict="break_glass",
        comment=REASON,
        nonce=nonce,
        assertion=assertion,
        typed=name_to_type(approval),
    )
    if signed == "as it is":
        assert (await given).state == "approved"
        assert (await bench.refund(6000)).outcome is not None
    else:
        with pytest.raises(Unverified):
            await given
        assert now(bench, approval).state == "pending"


@pytest.mark.requirement("GLASS-03")
async def test_it_is_broken_once_and_not_for_long():
    bench, approval = await waiting(limits=WalkLimits(break_glass_ms=60_000))
    after = await broken(bench, approval)
    with pytest.raises(Refused) as again:
        await broken(bench, after)
    assert again.value.code == "approval.not_pending"
    bench.clock.advance(60)
    asked = await bench.refund(6000)
    assert asked.outcome is None
    assert asked.approval is not None
    assert asked.approval.id != approval.id, "people are asked anew"


@pytest.mark.requirement("GLASS-03")
async def test_after_its_end_or_a_no_there_is_no_glass():
    bench, approval = await waiting(limits=WalkLimits(approval_ttl_ms=60_000))
    bench.clock.advance(60)
    with pytest.raises(Refused) as told:
        await broken(bench, approval)
    assert told.value.code == "approval.not_pending"
    bench, approval = await waiting()
    denied = await bench.answer(approval, by="bob", verdict="deny")
    with pytest.raises(Refused) as after:
        await broken(bench, denied)
    assert after.value.code == "approval.not_pending"


@pytest.mark.requirement("GLASS-04")
@pytest.mark.parametrize("before", [True, False])
async def test_what_is_held_does_not_run_so(before: bool):
    bench, approval = await waiting()
    if before:
        await stop(bench, holdable("agent", "scout"))
        with pytest.raises(Refused):
            await broken(bench, approval)
        return
    await broken(bench, approval)
    await stop(bench, holdable("agent", "scout"))
    with pytest.raises(Refused) as told:
        await bench.refund(6000)
    assert told.value.code.startswith("held.")


@pytest.mark.requirement("GLASS-04")
@pytest.mark.parametrize("how", ["person held", "key revoked", "left the group", "rule names nobody now"])
async def test_what_does_not_stand_at_the_act_does_not_count(how: str):
    bench, approval = await waiting()
    await broken(bench, approval)
    match how:
        case "person held":
            await stop(bench, holdable("owner", "dan"))
        case "key revoked":
            revoke_now(bench, RevocationTarget("key", signing_key("dan").public.thumbprint))
        case "left the group":
            given = changed(bench_documents(BREAKABLE), "Principal", "dan", groups=["audit"])
            await apply_registry(*to_apply(bench.walk), given, by="operator")
        case _:
            await apply_registry(*to_apply(bench.walk), bench_documents(POLICIES), by="operator")
    assert (await bench.refund(6000)).outcome is None


@pytest.mark.requirement("GLASS-04")
async def test_no_agent_breaks_a_glass():
    bench, approval = await waiting()
    for by in ("scout", "workflow:scout"):
        token = signed_answer(
            approval,
            nonce=nonce_for(bench.asking.openings, bench.clock, bench.walk.entropy, approval),
            by=PrincipalId(by),
            verdict="break_glass",
            comment=REASON,
            audience=AUDIENCE,
            at=bench.clock.now(),
            key=signing_key("scout"),
        )
        with pytest.raises(Unverified) as told:
            await answer_approval(
                bench.recorder, bench.authority, bench.asking, bench.counters, approval.id, token
            )
        assert told.value.code == "approval.key"


@pytest.mark.requirement("GLASS-04")
async def test_no_workflow_breaks_one():
    from tests.worlds import workflow as world

    policies = world.POLICIES.replace('@approve("checks:1")', '@approve("checks:1") @break_glass("checks")')
    bench, approval = await world.waiting(given=world.documents(policies=policies))
    with pytest.raises(Refused) as told:
        await world.answered(bench, approval, verdict="break_glass")
    assert told.value.code == "break_glass.not_allowed"
    assert now(bench, approval).state == "pending"


@pytest.mark.requirement("GLASS-05")
async def test_everybody_who_could_have_answered_is_told():
    bench, approval = await waiting()
    await broken(bench, approval)
    told = [(one.group, one.what, one.action_id) for one in bench.channel.notified]
    assert told == [("approvers", "glass", approval.id), ("sales", "glass", approval.id)]


@pytest.mark.requirement("GLASS-05")
async def test_the_ledger_and_the_timeline_say_who_and_why():
    bench, approval = await waiting()
    await broken(bench, approval)
    (leaf,) = bench.entries(Tag.APPROVAL_ANSWER)
    assert leaf["verdict"] == "break_glass"
    found = lines_of(bench.recorder, "m-1")
    (line,) = [one for one in found if "broke the glass" in one.text]
    assert line.text.startswith("dan broke the glass of approval")
    assert f"comment: {REASON}" in line.details


@pytest.mark.requirement("GLASS-02")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('@approve("approvers:1")', '@break_glass("sales")'),
        ('@approve("approvers:1")', '@approve("approvers:1") @break_glass("sales:1")'),
        ('@approve("approvers:1")', '@approve("approvers:1") @break_glass("")'),
        ('@id("read")', '@id("read") @break_glass("sales")'),
    ],
)
def test_a_policy_that_says_it_wrongly_is_not_published(before: str, after: str):
    text = POLICIES.replace(before, after)
    with pytest.raises(Malformed) as told:
        published(text, snapshot_of(bench_documents()))
    assert "break_glass" in told.value.message


@pytest.mark.requirement("GLASS-01")
async def test_a_rule_that_narrows_as_well_takes_the_people_it_asks():
    narrowing = BREAKABLE.replace(
        '@break_glass("sales")', '@break_glass("sales") @oblige("modify:amount<=5500")'
    )
    bench, approval = await waiting(policies=narrowing)
    with pytest.raises(Refused) as told:
        await broken(bench, approval)
    assert told.value.code == "break_glass.not_allowed"
    assert now(bench, approval).state == "pending"


@pytest.mark.requirement("GLASS-02")
async def test_who_stands_in_for_somebody_breaks_no_glass_in_their_place():
    """A deputy answers for the group; who may act alone is named as themselves."""
    policies = POLICIES.replace(
        '@approve("approvers:1")', '@approve("approvers:1") @break_glass("approvers")'
    )
    bench = await duty_bench(policies=policies)
    await delegate(bench)
    approval = (await bench.refund(6000)).approval
    assert approval is not None
    with pytest.raises(Refused) as told:
        await broken(bench, approval)
    assert told.value.code == "break_glass.not_allowed"
    assert (await broken(bench, approval, by="bob")).state == "approved"


@pytest.mark.requirement("GLASS-05")
async def test_a_message_about_a_broken_glass_says_so():
    bench, approval = await waiting()
    await broken(bench, approval)
    (first, *_) = bench.channel.notified
    message = notice_message(first, now=bench.clock.now())
    assert "broke a glass" in message.title
    assert "without its approval" in message.sentence

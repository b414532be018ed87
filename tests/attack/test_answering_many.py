"""One signature over many approvals: it covers exactly the list that was signed, and of it what may be answered so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from answerable.core.approval.batch import batch_of
from answerable.core.approval.batch_answer import BATCH, batch_claims, is_of_batch, verify_kept_batch
from answerable.core.approval.words import NO_WORDS
from answerable.core.containment.hold import holdable
from answerable.core.identity.names.principal import PrincipalId
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed, Refused
from answerable.flows.approval.answer_many import answer_many, open_many
from answerable.flows.approval.open_approval import opening_of
from answerable.flows.escalation.approval_nonces import give_nonce
from answerable.flows.revocation.place_hold import place_hold
from answerable.flows.state.walk_limits import WalkLimits
from answerable.flows.validity.group_waiting import group_named, groups_waiting
from answerable.sdk.signing import signed_batch
from answerable.testing.samples import AUDIENCE, signing_key
from answerable.testing.soft_passkey import SoftPasskey
from tests.attack.test_check_answers import found
from tests.worlds.alike import PAYING, answer_all, asked_many, pay, paying_bench, paying_documents, seen
from tests.worlds.passkey import enrolled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.approval import Approval
    from answerable.testing.builders import Bench

pytestmark = pytest.mark.anyio


def states(bench: Bench, approvals: Sequence[Approval]) -> list[str]:
    now = bench.clock.now()
    return [
        one.state_at(now) for one in map(bench.authority.approvals.find, (a.id for a in approvals)) if one
    ]


def token_for(bench: Bench, approvals: Sequence[Approval], nonce: bytes, **other: Any) -> str:
    said = {"by": PrincipalId("bob"), "verdict": "approve", "audience": AUDIENCE, "at": bench.clock.now()}
    key = signing_key(other.pop("key", "bob"))
    return signed_batch(batch_of(approvals), nonce=nonce, key=key, **{**said, **other})


async def signed_by_hand(bench: Bench, approvals: Sequence[Approval], **other: Any) -> Any:
    """As whoever has a key and cares for no page would: any list at all, under a nonce that was given for it."""
    nonce, _ = give_nonce(
        bench.asking.openings, bench.clock, bench.walk.entropy, opening_of(batch_of(approvals))
    )
    token = token_for(bench, approvals, nonce, **other)
    return await answer_many(
        bench.recorder, bench.authority, bench.asking, bench.counters, [one.id for one in approvals], token
    )


@pytest.mark.requirement("GROUP-02")
@pytest.mark.parametrize("how", ["key", "passkey"])
async def test_one_signature_answers_all_that_are_alike_and_each_keeps_what_a_stranger_checks(how: str):
    bench = await paying_bench()
    device = SoftPasskey(seed="bob")
    await enrolled(bench, "bob", device)
    waiting = await asked_many(bench, 12, n7="Mallory Ltd")
    after = await answer_all(bench, waiting, device=device if how == "passkey" else None)
    assert len(after.answered) == 11
    assert states(bench, waiting).count("approved") == 11
    assert states(bench, [waiting[7]]) == ["pending"]
    for number in range(12):
        if number == 7:
            assert (await pay(bench, 7, "Mallory Ltd")).id == waiting[7].id
        else:
            answer = await bench.act("pay", {**_arguments(number)}, mandate="m-pay")
            assert answer.outcome is not None
    assert len(bench.upstream.effects) == 11
    signer = None if how == "passkey" else signing_key("bob").public
    for one in after.answered:
        assert is_of_batch(one.answers[0].token)
        said = verify_kept_batch(one.answers[0].token, signer)
        assert (said.approval, said.action, said.rendering) == (one.id, one.shown.hex, one.card.hex)
        assert (said.by, said.verdict, said.size) == ("bob", "approve", 11)
    assert found(bench) == ([], 0)


def _arguments(number: int) -> dict[str, Any]:
    return {"invoice": f"INV-{number:04d}", "payee": "Acme GmbH", "amount": 100 + number % 50}


@pytest.mark.requirement("GROUP-03")
async def test_the_odd_one_is_left_out_and_named_even_if_it_was_signed():
    bench = await paying_bench()
    waiting = await asked_many(bench, 12, n7="Mallory Ltd")
    after = await signed_by_hand(bench, waiting)
    assert len(after.answered) == 11
    assert list(after.left_out) == [waiting[7].id]
    assert "payee" in after.left_out[waiting[7].id]
    assert states(bench, [waiting[7]]) == ["pending"]


@pytest.mark.requirement("GROUP-03")
async def test_where_not_all_go_to_the_same_place_none_is_approved_with_others():
    bench = await paying_bench()
    waiting = [await pay(bench, number, f"payee {number}") for number in range(8)]
    with pytest.raises(Refused) as told:
        open_many(
            bench.recorder.ledger, bench.authority, bench.asking, bench.walk.entropy, seen(waiting), "approve"
        )
    assert told.value.code == "approval.not_together"
    assert "payee" in told.value.message
    after = await answer_all(bench, waiting, verdict="deny", comment="one task for each payee, please")
    assert len(after.answered) == 8


@pytest.mark.requirement("GROUP-03")
async def test_what_is_critical_is_never_approved_with_others():
    bench = await paying_bench(tier=3)
    waiting = await asked_many(bench, 8)
    with pytest.raises(Refused) as told:
        open_many(
            bench.recorder.ledger, bench.authority, bench.asking, bench.walk.entropy, seen(waiting), "approve"
        )
    assert told.value.code == "approval.none_alike"
    assert "tier" in told.value.reasons[0]
    nonce = open_many(
        bench.recorder.ledger, bench.authority, bench.asking, bench.walk.entropy, seen(waiting), "deny"
    ).nonce
    after = await answer_many(
        bench.recorder,
        bench.authority,
        bench.asking,
        bench.counters,
        [one.id for one in waiting],
        token_for(bench, waiting, nonce),
    )
    assert not after.answered
    assert set(states(bench, waiting)) == {"pending"}


@pytest.mark.requirement("GROUP-03")
async def test_what_became_critical_after_it_was_shown_is_left_out():
    bench = await paying_bench()
    waiting = await asked_many(bench, 8)
    opened = open_many(
        bench.recorder.ledger, bench.authority, bench.asking, bench.walk.entropy, seen(waiting), "approve"
    )
    await bench.registered(paying_documents(tier=3))
    token = token_for(bench, opened.approvals, opened.nonce)
    after = await answer_many(
        bench.recorder, bench.authority, bench.asking, bench.counters, [one.id for one in waiting], token
    )
    assert (after.answered, len(after.left_out)) == ((), 8)


@pytest.mark.requirement("GROUP-03")
@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"batch_items_max": 0}, "approval.batch_off"),
        ({"batch_items_max": 5}, "approval.batch"),
        ({"batch_tier_max": 1}, "approval.none_alike"),
    ],
)
async def test_settings_bound_what_one_signature_covers(limits: dict[str, int], code: str):
    bench = await paying_bench(limits=WalkLimits(**limits))
    waiting = await asked_many(bench, 8)
    with pytest.raises((Refused, Malformed)) as told:
        open_many(
            bench.recorder.ledger, bench.authority, bench.asking, bench.walk.entropy, seen(waiting), "approve"
        )
    assert told.value.code == code


@pytest.mark.requirement("GROUP-03")
async def test_an_item_that_changed_meanwhile_is_left_out_and_the_others_count():
    bench = await paying_bench()
    waiting = await asked_many(bench, 8)
    opened = open_many(
        bench.recorder.ledger, bench.authority, bench.asking, bench.walk.entropy, seen(waiting), "approve"
    )
    await bench.answer(waiting[2], by="carol", verdict="deny")
    token = token_for(bench, opened.approvals, opened.nonce)
    after = await answer_many(
        bench.recorder, bench.authority, bench.asking, bench.counters, [one.id for one in waiting], token
    )
    assert list(after.left_out) == [waiting[2].id]
    assert len(after.answered) == 7
    assert len(bench.entries(Tag.APPROVAL_ANSWER)) == 8


@pytest.mark.requirement("GROUP-03")
@pytest.mark.parametrize(("by", "why"), [("alice", "issued the mandate"), ("dan", "you are in none")])
async def test_who_may_not_answer_one_answers_none_of_many(by: str, why: str):
    bench = await paying_bench()
    waiting = await asked_many(bench, 5)
    size = bench.recorder.ledger.size
    after = await answer_all(bench, waiting, by=by)
    assert not after.answered
    assert all(why in one for one in after.left_out.values())
    assert (set(states(bench, waiting)), bench.recorder.ledger.size) == ({"pending"}, size)


@pytest.mark.requirement("GROUP-03")
async def test_while_the_agent_stands_still_nobody_says_yes_to_many_and_no_is_possible():
    bench = await paying_bench()
    waiting = await asked_many(bench, 5)
    opened = open_many(
        bench.recorder.ledger, bench.authority, bench.asking, bench.walk.entropy, seen(waiting), "approve"
    )
    walk, register = bench.walk, bench.authority.approvals

    class Unseen:
        """A hold denies what waits; here what waits came at the same moment, and was not found."""

        def __getattr__(self, name: str) -> Any:
            return getattr(register, name)

        def all(self, **_: Any) -> tuple[Approval, ...]:
            return ()

    walk.authority.approvals = Unseen()
    await place_hold(
        walk.recorder,
        walk.authority,
        walk.live,
        walk.counters.cuts,
        holdable("agent", "scout"),
        reason="look first",
        by="operator",
    )
    walk.authority.approvals = register
    token = token_for(bench, opened.approvals, opened.nonce)
    after = await answer_many(
        walk.recorder, walk.authority, walk.asking, walk.counters, [one.id for one in waiting], token
    )
    assert not after.answered
    assert len(after.left_out) == 5
    assert len((await answer_all(bench, waiting, verdict="deny")).answered) == 5


@pytest.mark.requirement("GROUP-03")
async def test_each_of_a_list_asks_for_the_strength_of_its_tier():
    bench = await paying_bench(limits=WalkLimits(signatures=("any", "any", "passkey", "passkey")))
    await enrolled(bench, "bob", device := SoftPasskey(seed="bob"))
    waiting = await asked_many(bench, 4)
    assert not (await answer_all(bench, waiting)).answered
    assert len((await answer_all(bench, waiting, device=device)).answered) == 4


@pytest.mark.requirement("GROUP-03")
async def test_two_people_are_two_signatures_over_the_list():
    bench = await paying_bench(
        documents=paying_documents(PAYING.replace('"approvers:1")f', '"approvers:2")f'))
    )
    waiting = await asked_many(bench, 4)
    assert {one.state for one in (await answer_all(bench, waiting)).answered} == {"pending"}
    again = await answer_all(bench, waiting)
    assert all("already" in why for why in again.left_out.values())
    assert {one.state for one in (await answer_all(bench, waiting, by="carol")).answered} == {"approved"}


@pytest.mark.requirement("GROUP-03")
async def test_no_glass_is_broken_for_many():
    bench = await paying_bench()
    waiting = await asked_many(bench, 5)
    with pytest.raises(Malformed):
        open_many(
            bench.recorder.ledger,
            bench.authority,
            bench.asking,
            bench.walk.entropy,
            seen(waiting),
            "break_glass",
        )
    nonce = open_many(
        bench.recorder.ledger, bench.authority, bench.asking, bench.walk.entropy, seen(waiting), "approve"
    ).nonce
    token = BATCH.sign(
        batch_claims(
            batch_of(waiting), nonce=nonce, by=PrincipalId("bob"), verdict="break_glass", words=NO_WORDS,
            audience=AUDIENCE, at=bench.clock.now(),
        ), signing_key("bob"),
    )  # fmt: skip
    with pytest.raises(Malformed):
        await answer_many(
            bench.recorder, bench.authority, bench.asking, bench.counters, [one.id for one in waiting], token
        )
    assert (
        open_many(
            bench.recorder.ledger, bench.authority, bench.asking, bench.walk.entropy, seen(waiting), "deny"
        ).batch.size
        == 5
    )
    assert set(states(bench, waiting)) == {"pending"}


@pytest.mark.requirement("GROUP-01")
async def test_a_group_that_is_gone_says_so():
    bench = await paying_bench()
    waiting = await asked_many(bench, 4)
    (group,) = groups_waiting(bench.authority.approvals, bench.asking.under_way, bench.clock).groups
    assert group_named(bench.authority.approvals, bench.asking.under_way, bench.clock, group.id) is group, (
        "nothing is compared anew while nothing changed"
    )
    await answer_all(bench, waiting)
    with pytest.raises(Refused) as told:
        group_named(bench.authority.approvals, bench.asking.under_way, bench.clock, group.id)
    assert told.value.code == "approval_group.unknown"

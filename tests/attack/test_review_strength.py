"""The review of a broken glass is signed as strongly as an answer would have to be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from answerable.adapters.sqlite import SqlitePasskeyRegister
from answerable.core.approval.assurance_level import AssuranceLevel
from answerable.core.approval.challenge import NONCE_MILLIS_MAX
from answerable.core.approval.passkey_review import review_challenge
from answerable.core.identity.names.principal import PrincipalId
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unverified
from answerable.flows.approval.review_emergency_access import open_to_review, review_by_passkey
from answerable.flows.escalation.approval_nonces import give_nonce
from answerable.flows.state.passkey_desk import PasskeyState
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.builders import Bench
from answerable.testing.registers import fresh
from answerable.testing.soft_passkey import ORIGIN, RP_ID, SoftPasskey
from answerable.verify.answer_shapes import GlassReviewedLeaf
from tests.attack.test_check_reviews import found
from tests.worlds.glass import broken, now, reviewed, waiting
from tests.worlds.passkey import enrolled

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("KEYS-07")]


async def owed(asks: AssuranceLevel) -> tuple[Bench, Approval]:
    """A broken glass of a tier whose signatures must be so strong from then on."""
    bench, approval = await waiting()
    bench.asking.passkeys = PasskeyState(
        register=fresh(SqlitePasskeyRegister), rp_id=RP_ID, origins=(ORIGIN,)
    )
    await broken(bench, approval)
    bench.walk.limits = bench.asking.limits = replace(WalkLimits(), signatures=(asks, asks, asks, asks))
    return bench, now(bench, approval)


async def by_passkey(
    bench: Bench, approval: Approval, device: SoftPasskey, *, by: str = "bob", nonce: bytes | None = None
) -> Approval:
    """nonce: a fresh one where it is not said."""
    given, due, _ = open_to_review(
        bench.authority.approvals,
        bench.asking.openings,
        bench.walk.limits,
        bench.clock,
        bench.walk.entropy,
        approval.id,
    )
    nonce = given if nonce is None else nonce
    comment = "looked at the case, it was right"
    signed = review_challenge(due.approval, due.answer, nonce=nonce, verdict="justified", comment=comment)
    return await review_by_passkey(
        bench.recorder,
        bench.authority,
        bench.asking,
        approval.id,
        person=PrincipalId(by),
        verdict="justified",
        comment=comment,
        nonce=nonce,
        assertion=device.assertion(signed),
    )


async def test_a_key_file_reviews_nothing_of_a_tier_that_asks_for_a_passkey():
    bench, approval = await owed("passkey")
    with pytest.raises(Refused) as told:
        await reviewed(bench, approval)
    assert told.value.code == "approval.weak_signature"
    assert f"sign in to the console and sign there, at {ORIGIN}/approvals/{approval.id}" in told.value.message
    assert bench.entries(Tag.GLASS_REVIEWED) == []
    assert now(bench, approval).review is None, "it is owed still"


async def test_a_passkey_does_and_the_entry_says_what_was_asked_for():
    bench, approval = await owed("passkey")
    await enrolled(bench, "bob", device := SoftPasskey(seed="bob"))
    assert (await by_passkey(bench, approval, device)).review is not None
    (entry,) = bench.entries(Tag.GLASS_REVIEWED)
    assert entry["asks"] == "passkey"
    assert found(bench) == ([], 0)


async def test_a_passkey_that_can_be_copied_reviews_nothing_of_a_tier_that_asks_for_hardware():
    bench, approval = await owed("hardware")
    await enrolled(bench, "bob", device := SoftPasskey(seed="bob"))
    with pytest.raises(Refused) as told:
        await by_passkey(bench, approval, device)
    assert told.value.code == "approval.weak_signature"
    assert now(bench, approval).review is None


@pytest.mark.parametrize(
    "whose", ["nobody's", "of another person", "of the approval", "too old", "used before"]
)
async def test_a_passkey_reviews_under_no_nonce_but_one_that_was_given_for_it_and_only_once(whose: str):
    bench, approval = await owed("hardware")
    await enrolled(bench, "bob", device := SoftPasskey(seed="bob"))
    nonce, _, _ = open_to_review(
        bench.authority.approvals,
        bench.asking.openings,
        bench.walk.limits,
        bench.clock,
        bench.walk.entropy,
        approval.id,
        to="carol" if whose == "of another person" else "",
    )
    if whose == "nobody's":
        nonce = bytes(len(nonce))
    elif whose == "of the approval":
        nonce, _ = give_nonce(bench.asking.openings, bench.clock, bench.walk.entropy, approval.id)
    elif whose == "too old":
        bench.clock.advance((NONCE_MILLIS_MAX + 1) / 1000)
    elif whose == "used before":
        with pytest.raises(Refused):
            await by_passkey(bench, approval, device, nonce=nonce)
    bench.walk.limits = bench.asking.limits = WalkLimits()
    with pytest.raises(Unverified) as told:
        await by_passkey(bench, approval, device, nonce=nonce)
    assert told.value.code == "approval.nonce"
    assert now(bench, approval).review is None
    assert (await by_passkey(bench, approval, device)).review is not None, "under a fresh one it does"


async def test_where_any_key_will_do_a_key_file_does():
    bench, approval = await owed("any")
    assert (await reviewed(bench, approval)).review is not None
    (entry,) = bench.entries(Tag.GLASS_REVIEWED)
    assert "asks" not in entry


def asking(strength: str) -> Any:
    def change(tag: int, leaf: Any) -> Any:
        return msgspec.structs.replace(leaf, asks=strength) if isinstance(leaf, GlassReviewedLeaf) else leaf

    return change


async def test_a_review_that_is_weaker_than_its_entry_says_was_asked_for_is_found():
    bench, approval = await owed("any")
    await reviewed(bench, approval)
    assert found(bench) == ([], 0)
    assert found(bench, leaf_change=asking("passkey"))[0] == ["review.strength"]
    bench, approval = await owed("passkey")
    await enrolled(bench, "bob", device := SoftPasskey(seed="bob"))
    await by_passkey(bench, approval, device)
    assert found(bench, leaf_change=asking("hardware"))[0] == ["review.strength"]


async def test_how_strong_a_passkey_is_that_no_entry_brought_in_nobody_can_say():
    bench, approval = await owed("passkey")
    await enrolled(bench, "bob", device := SoftPasskey(seed="bob"))
    await by_passkey(bench, approval, device)

    def unknown(tag: int, leaf: Any) -> Any:
        if tag == Tag.PASSKEY and leaf.change == "added":
            return msgspec.structs.replace(leaf, change="invited")
        return asking("hardware")(tag, leaf)

    assert found(bench, leaf_change=unknown) == ([], 2), "how strong it is, and whose"


async def test_a_review_by_the_passkey_of_somebody_else_is_found():
    bench, approval = await owed("passkey")
    await enrolled(bench, "bob", device := SoftPasskey(seed="bob"))
    await by_passkey(bench, approval, device)

    def other(tag: int, leaf: Any) -> Any:
        return msgspec.structs.replace(leaf, person="0" * 64) if isinstance(leaf, GlassReviewedLeaf) else leaf

    assert found(bench, leaf_change=other)[0] == ["approval.passkey"]

"""Answers by passkey: what is signed, by whom, at which page, and what a stranger can check of it later."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from answerable.core.approval.challenge import challenge
from answerable.core.approval.passkey_answer import is_by_passkey, verify_kept
from answerable.core.approval.typed_name import name_to_type
from answerable.core.approval.words import Words, words_of
from answerable.core.containment.hold import HoldTarget
from answerable.core.identity.names.principal import PrincipalId
from answerable.errors import Malformed, Refused, Unverified
from answerable.flows.approval.answer_approval import answer_by_passkey
from answerable.flows.approval.open_approval import open_to_answer
from answerable.flows.people.remove_passkey import remove_passkey
from answerable.flows.revocation.place_hold import place_hold
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.builders import Bench
from answerable.testing.soft_passkey import UP, SoftPasskey
from tests.worlds.parts import to_hold
from tests.worlds.passkey import enrolled, passkey_bench

pytestmark = pytest.mark.anyio


async def asked(amount: int = 6000, **desk: Any) -> tuple[Bench, Any]:
    bench = await passkey_bench(**desk)
    await bench.issue()
    approval = (await bench.refund(amount)).approval
    assert approval is not None
    return bench, approval


async def answered(
    bench: Bench,
    approval: Any,
    device: SoftPasskey,
    *,
    person: str = "bob",
    verdict: Any = "approve",
    over: dict[str, Any] | None = None,
    said: dict[str, str] | None = None,
    **how: Any,
) -> Any:
    """Open the approval, have the device sign, and send it. over: other parts of what is signed. said: its words."""
    said = {"comment": "seen", **(said or {})}
    nonce, shown, _ = open_to_answer(
        bench.recorder.ledger, bench.authority, bench.asking.openings, bench.walk.entropy, approval.id
    )
    parts: dict[str, Any] = {
        "nonce": nonce,
        "action": shown.shown.digest,
        "rendering": shown.card.digest,
        "verdict": verdict,
        "words": words_of(verdict, **said),
    }
    assertion = device.assertion(challenge(**{**parts, **(over or {})}), **how)
    return await answer_by_passkey(
        bench.recorder,
        bench.authority,
        bench.asking,
        bench.counters,
        approval.id,
        person=PrincipalId(person),
        verdict=verdict,
        nonce=nonce,
        assertion=assertion,
        typed=name_to_type(approval),
        **said,
    )


@pytest.mark.requirement("SIGN-06")
async def test_a_passkey_approves_exactly_what_it_was_shown_and_it_runs_once():
    bench, approval = await asked()
    device = SoftPasskey(seed="bob")
    await enrolled(bench, "bob", device)
    after = await answered(bench, approval, device)
    assert after.state == "approved"
    assert (await bench.refund(6000)).outcome is not None
    assert (await bench.refund(6000)).approval is not None, "a used approval is used"
    (said,) = after.answers
    assert is_by_passkey(said.token)
    kept = verify_kept(said.token)
    assert (kept.by, kept.verdict, kept.approval) == ("bob", "approve", approval.id)
    assert (kept.action, kept.rendering) == (approval.shown.hex, approval.card.hex)


OTHERS: dict[str, Any] = {
    "another nonce": ({"over": {"nonce": bytes(32)}}, "passkey.challenge"),
    "another action": ({"over": {"action": bytes(32)}}, "passkey.challenge"),
    "another picture of it": ({"over": {"rendering": bytes(32)}}, "passkey.challenge"),
    "a no": ({"over": {"verdict": "deny"}}, "passkey.challenge"),
    "another comment": ({"over": {"words": Words(comment="sean")}}, "passkey.challenge"),
    "another reason": ({"over": {"words": Words(reason="not_now", comment="seen")}}, "passkey.challenge"),
    "no words at all": ({"over": {"words": Words()}}, "passkey.challenge"),
    "nobody verified": ({"flags": UP}, "passkey.user"),
    "another site": ({"client": {"origin": "https://evil.example"}}, "passkey.origin"),
    "in a frame": ({"client": {"crossOrigin": True}}, "passkey.frame"),
    "another ceremony": ({"client": {"type": "webauthn.create"}}, "passkey.type"),
    "somebody else's session": ({"person": "carol"}, "passkey.other"),
}


@pytest.mark.requirement("SIGN-06")
@pytest.mark.parametrize("what", OTHERS)
async def test_a_signature_over_anything_else_approves_nothing(what):
    bench, approval = await asked()
    device = SoftPasskey(seed="bob")
    await enrolled(bench, "bob", device)
    how, code = OTHERS[what]
    with pytest.raises(Unverified) as told:
        await answered(bench, approval, device, **how)
    assert told.value.code == code
    assert bench.authority.approvals.find(approval.id).answers == ()


@pytest.mark.requirement("SIGN-06")
async def test_a_passkey_of_nobody_or_one_that_was_removed_approves_nothing():
    bench, approval = await asked()
    with pytest.raises(Unverified) as told:
        await answered(bench, approval, SoftPasskey(seed="bob"))
    assert told.value.code == "passkey.unknown"
    device = SoftPasskey(seed="bob")
    passkey = await enrolled(bench, "bob", device)
    assert (await answered(bench, approval, device)).state == "approved"
    await remove_passkey(bench.recorder, bench.asking.passkeys, passkey.name, by="uid:1000")
    assert (await bench.refund(6000)).approval is not None, "what a removed passkey signed counts no longer"
    assert not bench.upstream.effects


@pytest.mark.requirement("SIGN-06")
@pytest.mark.parametrize("kind", ["owner", "key"])
async def test_after_a_hold_on_the_person_or_the_passkey_their_yes_counts_no_longer(kind):
    bench, approval = await asked()
    device = SoftPasskey(seed="bob")
    passkey = await enrolled(bench, "bob", device)
    await answered(bench, approval, device)
    await place_hold(
        *to_hold(bench.walk), HoldTarget(kind, "bob" if kind == "owner" else passkey.key), by="uid:0"
    )
    assert (await bench.refund(6000)).outcome is None
    assert not bench.upstream.effects


@pytest.mark.requirement("SIGN-07")
async def test_a_tier_asks_for_the_strength_that_its_settings_say():
    bench, approval = await asked()
    await enrolled(bench, "bob", device := SoftPasskey(seed="bob"))
    bench.walk.limits = bench.asking.limits = replace(
        WalkLimits(), signatures=("any", "any", "any", "passkey")
    )
    with pytest.raises(Refused) as told:
        await bench.answer(approval)
    assert told.value.code == "approval.weak_signature"
    bench.walk.limits = bench.asking.limits = replace(
        WalkLimits(), signatures=("any", "any", "any", "hardware")
    )
    with pytest.raises(Refused) as told:
        await answered(bench, approval, device)
    assert told.value.code == "approval.weak_signature"
    bench.walk.limits = bench.asking.limits = replace(
        WalkLimits(), signatures=("hardware", "hardware", "hardware", "passkey")
    )
    assert (await answered(bench, approval, device)).state == "approved"


@pytest.mark.requirement("SIGN-06")
async def test_what_is_kept_of_an_answer_does_not_check_after_any_change():
    bench, approval = await asked()
    device = SoftPasskey(seed="bob")
    await enrolled(bench, "bob", device)
    token = (await answered(bench, approval, device)).answers[0].token
    members = json.loads(token)
    unsigned = {"iss", "aud", "approval", "iat_ms", "origins"}
    for name in members:
        changed = json.dumps({**members, name: _other(members[name])})
        if name in unsigned:
            assert verify_kept(changed).verdict == "approve"
            continue
        with pytest.raises((Malformed, Unverified)):
            verify_kept(changed)
    for part in members["assertion"]:
        changed = {**members, "assertion": {**members["assertion"], part: _other(members["assertion"][part])}}
        if part != "credential_id":
            with pytest.raises((Malformed, Unverified)):
                verify_kept(json.dumps(changed))


def _other(value: Any) -> Any:
    """Something of the same kind that is not the same."""
    match value:
        case "approve":
            return "deny"
        case str():
            return ("B" if value[:1] != "B" else "C") + value[1:]
        case int():
            return value + 1
        case [*items]:
            return [*items, "https://evil.example"]
    return {}

"""A person's answer on the wire."""

from __future__ import annotations

import pytest

from answerable.core.approval.token import (
    APPROVAL_TYP,
    AnswerClaims,
    VerifiedAnswer,
    answer_claims,
    verify_answer,
)
from answerable.core.approval.words import words_of
from answerable.core.identity.keys.compact_jws import signed_statement
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.statement import AGE_MILLIS_MAX, AHEAD_MILLIS_MAX, claims_in
from answerable.errors import Malformed, Unverified
from answerable.sdk.signing import signed_answer
from answerable.testing.clock import START
from answerable.testing.samples import AUDIENCE, approval, mandate, signing_key

NOW = UnixMillis(START + 1000)
BOB = PrincipalId("bob")
NONCE = bytes(range(32))


def keys_of(principal):
    return (signing_key(principal).public,) if principal in ("alice", "bob") else ()


def verified(token, waiting=None, *, now=NOW, audience=AUDIENCE):
    return verify_answer(token, keys_of=keys_of, audience=audience, approval=waiting or approval(), now=now)


def token_with(**changes):
    claims = answer_claims(
        approval(), nonce=NONCE, by=BOB, verdict="approve", comment="", audience=AUDIENCE, at=NOW
    )
    kept = {name: value for name, value in {**claims_in(claims), **changes}.items() if value is not ...}
    return signed_statement(kept, typ=APPROVAL_TYP, key=signing_key("bob"))


@pytest.mark.parametrize("verdict", ["approve", "deny"])
def test_a_signed_answer_is_verified_whole(verdict):
    token = signed_answer(
        approval(),
        nonce=NONCE,
        by=BOB,
        verdict=verdict,
        comment="ok",
        audience=AUDIENCE,
        at=NOW,
        key=signing_key("bob"),
    )
    words = words_of(verdict, comment="ok")
    assert verified(token) == VerifiedAnswer(by=BOB, verdict=verdict, words=words, at=NOW, nonce=NONCE)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"action": approval(amount=9999).shown.hex}, "approval.digest"),
        ({"action": approval().shown.hex.upper()}, "approval.digest"),
        ({"rendering": approval(amount=9999).card.hex}, "approval.rendering"),
        ({"nonce": "AA"}, "approval.malformed"),
        ({"nonce": "=" * 43}, "approval.malformed"),
        ({"approval": "a-2"}, "approval.other"),
        ({"aud": "elsewhere"}, "approval.audience"),
        ({"iss": "alice"}, "approval.key"),
        ({"verdict": "Approve"}, "approval.malformed"),
        ({"verdict": True}, "approval.malformed"),
        ({"comment": "x" * 1001}, "approval.malformed"),
        ({"reason": "too_much"}, "approval.reason"),
        ({"narrower": "{}"}, "approval.reason"),
        ({"verdict": "deny"}, "approval.malformed"),
        ({"verdict": "deny", "reason": "because"}, "approval.reason"),
        ({"verdict": "deny", "reason": "narrower"}, "approval.reason"),
        ({"verdict": "deny", "reason": "too_much", "narrower": "{}"}, "approval.reason"),
        ({"verdict": "deny", "reason": "narrower", "narrower": "1" * 40_001}, "approval.malformed"),
        ({"iat_ms": float(NOW) + 0.5}, "approval.malformed"),
        ({"iat_ms": True}, "approval.malformed"),
        ({"more": 1}, "approval.malformed"),
    ],
)
def test_an_answer_to_anything_else_is_worth_nothing(changes, code):
    with pytest.raises((Malformed, Unverified)) as raised:
        verified(token_with(**changes))
    assert raised.value.code == code


@pytest.mark.parametrize("claim", AnswerClaims.__struct_fields__)
def test_no_claim_may_be_missing_or_of_another_type(claim):
    for value in (..., None):
        with pytest.raises((Malformed, Unverified)):
            verified(token_with(**{claim: value}))


def test_an_answer_is_fresh_for_five_minutes_and_a_clock_may_run_a_minute_ahead():
    token = token_with()
    verified(token, now=NOW + AGE_MILLIS_MAX - 1)
    verified(token, now=NOW - AHEAD_MILLIS_MAX)
    for late_or_early in (NOW + AGE_MILLIS_MAX, NOW - AHEAD_MILLIS_MAX - 1):
        with pytest.raises(Unverified) as raised:
            verified(token, now=late_or_early)
        assert raised.value.code == "approval.stale"


def test_a_mandate_is_no_answer():
    with pytest.raises(Unverified) as raised:
        verified(mandate().token)
    assert raised.value.code == "approval.type"

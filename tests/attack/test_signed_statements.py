"""What a stranger, a colleague or a hostile agent could hand in as a mandate or as an answer."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from answerable.core.approval.token import APPROVAL_TYP, answer_claims, verify_answer
from answerable.core.identity.keys.compact_jws import TOKEN_CHARS_MAX, signed_statement
from answerable.core.identity.keys.keys import SigningKey, new_private_jwk
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.mandate.token import MANDATE_TYP, claims_of, verify_mandate
from answerable.core.statement import claims_in
from answerable.errors import Malformed, Unverified
from answerable.sdk.signing import signed_answer
from answerable.testing.clock import START
from answerable.testing.samples import AUDIENCE, approval, mandate, mandate_terms, signing_key

ALICE = signing_key("alice")
BOB = PrincipalId("bob")
NONCE = bytes(range(32))
CAROL = SigningKey(new_private_jwk("ecdsa-p256-sha256", b"\x0c" * 48))
CLAIMS = claims_of(mandate_terms(), audience=AUDIENCE)
REGISTERED = {name: (signing_key(name).public,) for name in ("alice", "bob", "scout")}
REGISTERED["carol"] = (CAROL.public,)
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def verify(token):
    # The agent's own key is offered for the agent's name, as a careless caller might: it must not help.
    return verify_mandate(token, keys_of=lambda name: REGISTERED.get(name, ()), audience=AUDIENCE)


def refused(token):
    with pytest.raises((Malformed, Unverified)) as raised:
        verify(token)
    return raised.value.code


def b64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def assembled(header, claims, sign):
    text = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{text}.{b64(sign(text.encode()))}"


def plus_order(number, order, endian):
    """A second spelling of the number where 32 bytes have room for one, else the order, which none may reach."""
    raised = int.from_bytes(number, endian) + order
    return (raised if raised < 1 << 256 else order).to_bytes(32, endian)


def head(**changes):
    return {"alg": "Ed25519", "kid": ALICE.public.thumbprint, "typ": MANDATE_TYP, **changes}


@pytest.mark.requirement("MANDATE-01")
def test_the_genuine_article_is_accepted_so_that_the_refusals_mean_something():
    assert verify(assembled(head(), CLAIMS, ALICE.sign)) is not None


@pytest.mark.requirement("MANDATE-01")
@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""])
def test_a_token_that_says_it_needs_no_signature_is_refused(alg):
    for signature in (b"", b"\x00" * 64):
        token = assembled(head(alg=alg), CLAIMS, lambda _, signature=signature: signature)
        assert refused(token) in ("mandate.algorithm", "mandate.malformed")


@pytest.mark.requirement("MANDATE-01")
@pytest.mark.parametrize("secret", ["jwk", "x", "thumbprint"])
def test_a_public_key_is_never_taken_for_a_shared_secret(secret):
    """RFC 8725, section 2.1: HS256 with what everybody can know of the key."""
    known = {
        "jwk": ALICE.public.jwk.encode(),
        "x": base64.urlsafe_b64decode(json.loads(ALICE.public.jwk)["x"] + "="),
        "thumbprint": ALICE.public.thumbprint.encode(),
    }[secret]

    def mac(text):
        return hmac.digest(known, text, hashlib.sha256)

    assert refused(assembled(head(alg="HS256"), CLAIMS, mac)) == "mandate.algorithm"
    assert refused(assembled(head(), CLAIMS, mac)) == "mandate.signature"


@pytest.mark.requirement("MANDATE-01")
def test_a_token_cannot_bring_its_own_key():
    mallory = signing_key("mallory")
    own = json.loads(mallory.public.jwk)
    for extra in ({"jwk": own}, {"jku": "https://evil.example/keys"}, {"x5u": "https://evil.example/"}):
        assert refused(assembled(head(**extra), CLAIMS, mallory.sign)) == "mandate.malformed"
    assert refused(assembled(head(), CLAIMS, mallory.sign)) == "mandate.signature"
    assert refused(assembled(head(kid=mallory.public.thumbprint), CLAIMS, mallory.sign)) == "mandate.key"


@pytest.mark.requirement("MANDATE-01")
def test_nobody_signs_in_anothers_name():
    bob = signing_key("bob")
    token = assembled(head(kid=bob.public.thumbprint), CLAIMS, bob.sign)
    assert refused(token) == "mandate.key"


@pytest.mark.requirement("MANDATE-01")
@pytest.mark.parametrize(
    "typ", ["JWT", "jwt", APPROVAL_TYP, f"application/{MANDATE_TYP}", MANDATE_TYP.upper()]
)
def test_a_statement_of_another_kind_is_no_mandate(typ):
    assert refused(assembled(head(typ=typ), CLAIMS, ALICE.sign)) == "mandate.type"


@pytest.mark.requirement("MANDATE-01")
def test_a_signature_is_not_carried_over_to_other_claims():
    header, _, signature = mandate().token.split(".")
    wider = {**CLAIMS, "calls_max": 1_000_000}
    assert refused(f"{header}.{b64(json.dumps(wider).encode())}.{signature}") == "mandate.signature"


@pytest.mark.requirement("MANDATE-01")
@pytest.mark.parametrize("name", ["alice", "carol"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda signature: bytes(64),
        lambda signature: b"\xff" * 64,
        lambda signature: b"",
        lambda signature: signature[:63],
        lambda signature: signature + b"\x00",
        lambda signature: signature[32:] + signature[:32],
        lambda signature: signature * 40,
        # The same S, written once more: plus the order of the group (RFC 8032, section 8.4).
        lambda signature: signature[:32] + plus_order(signature[32:], ED25519_ORDER, "little"),
        lambda signature: signature[:32] + plus_order(signature[32:], P256_ORDER, "big"),
        # R as the neutral point, which a lax check under a key of small order would take.
        lambda signature: b"\x01" + bytes(63),
        # r || s in the form of other protocols.
        lambda signature: encode_dss_signature(
            int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        ),
    ],
)
def test_nothing_but_the_signature_itself_is_a_signature(name, spoil):
    key = CAROL if name == "carol" else ALICE
    claims = {**CLAIMS, "iss": name}
    header = head(alg="ES256", kid=key.public.thumbprint) if key is CAROL else head()
    assert verify(assembled(header, claims, key.sign)) is not None
    # An empty signature is no part of a token at all.
    expected = "mandate.signature" if spoil(bytes(64)) else "mandate.malformed"
    assert refused(assembled(header, claims, lambda text: spoil(key.sign(text)))) == expected


@pytest.mark.requirement("MANDATE-02")
@pytest.mark.parametrize("claim", ["sub", "grants", "calls_max", "expires_at_ms"])
def test_a_claim_said_twice_is_refused_whichever_reader_would_take_the_last(claim):
    once = json.dumps(CLAIMS)
    twice = f"{once[:-1]}, {json.dumps(claim)}: {json.dumps(CLAIMS[claim])}}}"
    text = f"{b64(json.dumps(head()).encode())}.{b64(twice.encode())}"
    assert refused(f"{text}.{b64(ALICE.sign(text.encode()))}") == "mandate.malformed"


@pytest.mark.requirement("MANDATE-02")
@pytest.mark.parametrize(
    "token",
    [
        "",
        "..",
        "a.b.c",
        "." * TOKEN_CHARS_MAX,
        "a" * (TOKEN_CHARS_MAX + 1),
        "e30.e30.e30",
        f"{b64(b'[' * 400)}.e30.AA",
        f"{b64(json.dumps(head()).encode())}.{b64(b'[' * 40_000)}.AA",
        f"{b64(json.dumps(head()).encode())}.{b64(b'9' * 40_000)}.AA",
        "\ud800.\ud800.\ud800",
        "𝖺.𝖻.𝖼",
        mandate().token.replace(".", "。"),
    ],
)
def test_garbage_and_giants_are_refused_without_ado(token):
    assert refused(token) == "mandate.malformed"


@pytest.mark.requirement("MANDATE-02")
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"caveats": [[77, "approved by two"]]}, "caveat.unknown"),
        ({"grants": [["crm.read", [[77]]]]}, "caveat.unknown"),
        ({"not_after_ms": START}, "mandate.malformed"),
        ({"exp": 1}, "mandate.malformed"),
    ],
)
def test_a_restriction_that_is_not_understood_is_never_passed_over(change, code):
    assert refused(assembled(head(), {**CLAIMS, **change}, ALICE.sign)) == code


def answer_refused(token, waiting=None):
    with pytest.raises((Malformed, Unverified)) as raised:
        verify_answer(
            token,
            keys_of=lambda name: REGISTERED.get(name, ()),
            audience=AUDIENCE,
            approval=waiting or approval(),
            now=START,
        )
    return raised.value.code


@pytest.mark.requirement("MANDATE-06")
def test_an_answer_to_a_small_amount_does_not_approve_a_large_one():
    bob = signing_key("bob")
    token = signed_answer(
        approval(), nonce=NONCE, by=BOB, verdict="approve", audience=AUDIENCE, at=START, key=bob
    )
    assert answer_refused(token, approval(amount=1_000_000)) == "approval.digest"
    assert answer_refused(token, approval("a-2")) == "approval.other"


@pytest.mark.requirement("MANDATE-06")
def test_a_deny_is_not_turned_into_an_approve():
    bob = signing_key("bob")
    token = signed_answer(
        approval(), nonce=NONCE, by=BOB, verdict="deny", audience=AUDIENCE, at=START, key=bob
    )
    header, _, signature = token.split(".")
    claims = answer_claims(
        approval(), nonce=NONCE, by=BOB, verdict="approve", comment="", audience=AUDIENCE, at=START
    )
    assert (
        answer_refused(f"{header}.{b64(json.dumps(claims_in(claims)).encode())}.{signature}")
        == "approval.signature"
    )


@pytest.mark.requirement("MANDATE-06")
def test_an_answer_from_yesterday_is_no_answer_today():
    claims = answer_claims(
        approval(),
        nonce=NONCE,
        by=BOB,
        verdict="approve",
        comment="",
        audience=AUDIENCE,
        at=UnixMillis(START - 86_400_000),
    )
    token = signed_statement(claims_in(claims), typ=APPROVAL_TYP, key=signing_key("bob"))
    assert answer_refused(token) == "approval.stale"


@pytest.mark.requirement("MANDATE-06")
def test_the_agent_does_not_answer_for_a_person():
    scout = signing_key("scout")
    token = signed_answer(
        approval(), nonce=NONCE, by=BOB, verdict="approve", audience=AUDIENCE, at=START, key=scout
    )
    assert answer_refused(token) == "approval.key"

"""Statements that clients sign of themselves: what is read, and what is refused before anything is believed."""

from __future__ import annotations

import pytest

from answerable.core.base64url import to_base64url
from answerable.core.canonical import encode
from answerable.core.identity.proof.client_assertion import verified_assertion
from answerable.errors import Malformed, Unverified
from answerable.testing.clock import START
from answerable.testing.samples import signing_key

KEY = signing_key("scout")
ISSUER = "https://tokens.example"
NOW = START // 1000


def statement(header=None, **changes):
    """A good one but for what is changed; None takes a member away."""
    head = {"alg": "Ed25519", "kid": KEY.public.thumbprint, "typ": "JWT"} if header is None else header
    claims = {"aud": ISSUER, "exp": NOW + 60, "iss": "scout", "jti": "j", "sub": "scout", **changes}
    claims = {name: value for name, value in claims.items() if value is not None}
    text = f"{to_base64url(encode(head))}.{to_base64url(encode(claims))}"
    return f"{text}.{to_base64url(KEY.sign(text.encode()))}"


def verify(token):
    return verified_assertion(token, issuer=ISSUER, key_of=lambda _: KEY.public, now=START)


def test_a_good_one_says_who_it_is_of_and_until_when():
    for token in (
        statement(),
        statement({"alg": "Ed25519", "kid": KEY.public.thumbprint}),
        statement(aud=[ISSUER]),
    ):
        said = verify(token)
        assert (said.client, said.id, said.thumbprint) == ("scout", "j", KEY.public.thumbprint)
        assert said.expires_at == (NOW + 60) * 1000


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (statement({"alg": "Ed25519"}), "client.malformed"),
        (statement({"alg": "Ed25519", "kid": "k", "jku": "https://x"}), "client.malformed"),
        (statement({"alg": "Ed25519", "kid": "k", "typ": "at+jwt"}), "client.type"),
        (statement({"alg": "none", "kid": "k"}), "client.algorithm"),
        (statement({"alg": "HS256", "kid": "k"}), "client.algorithm"),
        (statement()[:-4] + "AAAA", "client.signature"),
        ("x" * 5_000, "client.malformed"),
        (statement(aud=None), "client.audience"),
        (statement(aud=[ISSUER, "other"]), "client.audience"),
        (statement(sub=None), "client.subject"),
        (statement(sub=""), "client.subject"),
        (statement(iss="rover"), "client.subject"),
        (statement(jti=7), "client.subject"),
        (statement(exp="soon"), "client.time"),
        (statement(exp=-1), "client.time"),
        (statement(exp=NOW), "client.time"),
        (statement(exp=NOW + 331), "client.time"),
        (statement(nbf=NOW + 31), "client.time"),
        (statement(iat=True), "client.time"),
    ],
)
def test_anything_else_is_refused_with_what_is_wrong(token, code):
    with pytest.raises((Malformed, Unverified)) as told:
        verify(token)
    assert told.value.code == code


def test_times_a_little_ahead_of_our_clock_are_let_pass():
    assert verify(statement(iat=NOW + 5, nbf=NOW + 30)).client == "scout"
    with pytest.raises(Unverified, match="`iat` is in the future"):
        verify(statement(iat=NOW + 6))


def test_an_assertion_that_does_not_say_when_it_was_made_is_as_old_as_it_can_be():
    assert verify(statement(iat=NOW - 7)).issued_at == (NOW - 7) * 1000
    undated = verify(statement(iat=None, exp=NOW + 60))
    assert undated.issued_at == (NOW + 60 - 330) * 1000

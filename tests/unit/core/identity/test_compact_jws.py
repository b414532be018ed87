"""One token, one reading."""

from __future__ import annotations

import base64
import json

import pytest
from joserfc import jws as joserfc_jws
from joserfc.jwk import JWKRegistry

from answerable.core.identity.compact_jws import (
    TOKEN_CHARS_MAX,
    check_compact,
    read_compact,
    signed_statement,
    verified_claims,
)
from answerable.core.identity.keys import SigningKey, new_private_jwk
from answerable.errors import Malformed, Unverified
from answerable.testing.samples import signing_key

TYP = "test+jwt"
ED25519 = signing_key("alice")
P256 = SigningKey(new_private_jwk("ecdsa-p256-sha256", b"\x07" * 48))
NAMES = {"Ed25519": ED25519, "ES256": P256}
CLAIMS = {"iss": "alice", "n": 1}


def b64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def token(header, payload, key=ED25519):
    """A token with these very bytes as header and payload, truly signed."""
    text = f"{b64(header)}.{b64(payload)}"
    return f"{text}.{b64(key.sign(text.encode()))}"


def header(**changes):
    members = {"alg": "Ed25519", "kid": ED25519.public.thumbprint, "typ": TYP, **changes}
    return json.dumps({name: value for name, value in members.items() if value is not ...}).encode()


def claims_in(text, key=ED25519):
    return verified_claims(
        text,
        typ=TYP,
        step="test",
        issuer_of=lambda claims: str(claims["iss"]),
        keys_of=lambda issuer: (key.public,) if issuer == "alice" else (),
    )


@pytest.mark.parametrize("key", NAMES.values(), ids=NAMES)
def test_what_was_signed_is_read_back(key):
    assert claims_in(signed_statement(CLAIMS, typ=TYP, key=key), key) == CLAIMS


@pytest.mark.parametrize(("name", "key"), NAMES.items(), ids=NAMES)
def test_tokens_are_those_of_other_implementations_and_theirs_are_ours(name, key):
    public = JWKRegistry.import_key(json.loads(key.public.jwk))
    ours = signed_statement(CLAIMS, typ=TYP, key=key)
    assert json.loads(joserfc_jws.deserialize_compact(ours, public, algorithms=[name]).payload) == CLAIMS
    private = new_private_jwk("ed25519", b"\x05" * 32) if name == "Ed25519" else None
    private = private or new_private_jwk("ecdsa-p256-sha256", b"\x05" * 48)
    mine = SigningKey(private)
    protected = {"alg": name, "kid": mine.public.thumbprint, "typ": TYP}
    their_key = JWKRegistry.import_key(private)
    theirs = joserfc_jws.serialize_compact(protected, json.dumps(CLAIMS), their_key, algorithms=[name])
    assert claims_in(theirs, mine) == CLAIMS


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"typ": "JWT"}, "test.type"),
        ({"typ": "TEST+JWT"}, "test.type"),
        ({"typ": ...}, "test.malformed"),
        ({"kid": ...}, "test.malformed"),
        ({"kid": "x"}, "test.key"),
        ({"kid": 7}, "test.malformed"),
        ({"alg": ...}, "test.malformed"),
        ({"alg": "none"}, "test.algorithm"),
        ({"alg": "HS256"}, "test.algorithm"),
        ({"alg": "EdDSA"}, "test.algorithm"),
        ({"alg": "ES256"}, "test.algorithm"),
        ({"alg": "ed25519"}, "test.algorithm"),
        ({"crit": ["x"]}, "test.malformed"),
        ({"jwk": json.loads(ED25519.public.jwk)}, "test.malformed"),
        ({"b64": False}, "test.malformed"),
    ],
)
def test_a_truly_signed_token_with_another_header_is_refused(changes, code):
    with pytest.raises((Malformed, Unverified)) as raised:
        claims_in(token(header(**changes), b'{"iss":"alice"}'))
    assert raised.value.code == code


@pytest.mark.parametrize(
    "payload",
    [
        b'{"iss":"alice","iss":"bob"}',
        b"[]",
        b'{"iss":NaN}',
        b"{",
        b"\xff",
        b"",
        b"[" * 9 + b"]" * 9,
        b'{"a":1}x',
    ],
)
def test_claims_that_readers_could_take_two_ways_are_refused(payload):
    with pytest.raises(Malformed):
        claims_in(token(header(), payload))


@pytest.mark.parametrize(
    "head",
    [
        header().replace(b'"kid"', b'"alg": "none", "kid"'),
        header() + b" " * 600,
        b"[]",
        b"\xff",
    ],
)
def test_headers_that_readers_could_take_two_ways_are_refused(head):
    with pytest.raises(Malformed):
        claims_in(token(head, b'{"iss":"alice"}'))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: t + "=",
        lambda t: t.replace(".", "=.", 1),
        lambda t: t + ".x",
        lambda t: t.rpartition(".")[0],
        lambda t: t.rpartition(".")[0] + ".",
        lambda t: t + "\n",
        lambda t: " " + t,
        lambda t: t[:-1] + "+",
        lambda t: t[:-1] + chr(ord(t[-1]) + 1),
        lambda t: t + "A",
        lambda t: "é" + t,
        lambda t: "a" * TOKEN_CHARS_MAX + t,
        lambda t: "",
    ],
)
def test_no_second_spelling_of_a_token_is_accepted(spoil):
    good = signed_statement(CLAIMS, typ=TYP, key=ED25519)
    with pytest.raises((Malformed, Unverified)):
        claims_in(spoil(good))


def test_a_key_that_is_registered_for_somebody_else_does_not_count():
    with pytest.raises(Unverified) as raised:
        claims_in(signed_statement({"iss": "bob"}, typ=TYP, key=ED25519))
    assert (raised.value.code, raised.value.step) == ("test.key", "test")


def test_a_header_that_names_a_key_but_was_signed_by_another_does_not_verify():
    with pytest.raises(Unverified) as raised:
        claims_in(token(header(), b'{"iss":"alice"}', signing_key("mallory")))
    assert raised.value.code == "test.signature"


def test_the_algorithm_must_be_the_keys_own():
    parts = read_compact(signed_statement(CLAIMS, typ=TYP, key=P256), step="test")
    with pytest.raises(Unverified) as raised:
        check_compact(parts, ED25519.public, step="test")
    assert raised.value.code == "test.algorithm"


def test_a_statement_too_long_to_be_read_is_not_signed():
    with pytest.raises(Malformed) as raised:
        signed_statement({"x": "y" * TOKEN_CHARS_MAX}, typ=TYP, key=ED25519)
    assert raised.value.code == "statement.size"

"""One token, one reading. joserfc makes and verifies tokens; here they are also put together and checked by hand."""

from __future__ import annotations

import base64
import json

import pytest

from answerable.core.canonical import JSONValue, encode
from answerable.core.identity.keys.compact_jws import (
    HEADER_BYTES_MAX,
    TOKEN_CHARS_MAX,
    check_compact,
    read_compact,
    signed_statement,
    verified_claims,
)
from answerable.core.identity.keys.keys import SigningKey, new_private_jwk, verify_signature
from answerable.errors import Malformed, Unverified
from answerable.testing.samples import signing_key
from tests.worlds.token_codes import token_codes

TYP = "test+jwt"
ED25519 = signing_key("alice")
P256 = SigningKey(new_private_jwk("ecdsa-p256-sha256", b"\x07" * 48))
NAMES = {"Ed25519": ED25519, "ES256": P256}
CLAIMS: dict[str, JSONValue] = {"iss": "alice", "n": 1}
# CLAIMS as TYP by ED25519, as our own code wrote it before joserfc did.
KNOWN = (
    "eyJhbGciOiJFZDI1NTE5Iiwia2lkIjoiNDY4ZDh4ZHNjdVh3ZzJhUHlFYmVELUtBZ0F4d1Z4QlRZQlprbW5EazJHOCIsInR5cCI6InRlc3Qra"
    "nd0In0.eyJpc3MiOiJhbGljZSIsIm4iOjF9."
    "nKoYzC1UAWLokIZrXWGNcjZ3o2kx2PFhovuZqbbWOGj9KfTLuytZJPxiNbmyQsylWIQV3k124GbZm3PuvItYBg"
)


def b64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


CODES = token_codes("test")


def token(header, payload, key=ED25519):
    """A token with these very bytes as header and payload, truly signed."""
    text = f"{b64(header)}.{b64(payload)}"
    return f"{text}.{b64(key.sign(text.encode()))}"


def from_b64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def header(**changes):
    members = {"alg": "Ed25519", "kid": ED25519.public.thumbprint, "typ": TYP, **changes}
    return json.dumps({name: value for name, value in members.items() if value is not ...}).encode()


def claims_in(text, key=ED25519):
    return verified_claims(
        text,
        typ=TYP,
        codes=CODES,
        issuer_of=lambda claims: str(claims["iss"]),
        keys_of=lambda issuer: (key.public,) if issuer == "alice" else (),
    )


@pytest.mark.parametrize("key", NAMES.values(), ids=NAMES)
def test_what_was_signed_is_read_back(key):
    assert claims_in(signed_statement(CLAIMS, typ=TYP, key=key), key) == CLAIMS


@pytest.mark.parametrize(("name", "key"), NAMES.items(), ids=NAMES)
def test_a_token_is_canonical_json_and_a_signature_that_checks_without_a_jws_library(name, key):
    head, payload, signature = signed_statement(CLAIMS, typ=TYP, key=key).split(".")
    assert from_b64(head) == encode({"alg": name, "kid": key.public.thumbprint, "typ": TYP})
    assert from_b64(payload) == encode(CLAIMS)
    verify_signature(key.public, f"{head}.{payload}".encode(), from_b64(signature))


@pytest.mark.parametrize(("name", "key"), NAMES.items(), ids=NAMES)
def test_a_token_put_together_by_hand_is_read(name, key):
    head = header(alg=name, kid=key.public.thumbprint)
    assert claims_in(token(head, json.dumps(CLAIMS).encode(), key), key) == CLAIMS


def test_an_ed25519_token_follows_from_key_and_claims():
    assert signed_statement(CLAIMS, typ=TYP, key=ED25519) == KNOWN
    assert claims_in(KNOWN) == CLAIMS


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


def test_a_header_may_be_as_long_as_we_say_and_no_longer():
    head = header().ljust(HEADER_BYTES_MAX)
    assert claims_in(token(head, json.dumps(CLAIMS).encode())) == CLAIMS
    with pytest.raises(Malformed):
        claims_in(token(head + b" ", json.dumps(CLAIMS).encode()))


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
    parts = read_compact(signed_statement(CLAIMS, typ=TYP, key=P256), malformed=CODES.malformed)
    with pytest.raises(Unverified) as raised:
        check_compact(parts, ED25519.public, algorithm=CODES.algorithm, signature=CODES.signature)
    assert raised.value.code == "test.algorithm"


@pytest.mark.parametrize("member", [{"crit": 5}, {"crit": None}, {"b64": False}, {"kid": 7}, {"jwk": None}])
def test_a_header_member_that_is_not_text_does_not_even_reach_the_library(member):
    with pytest.raises(Malformed) as raised:
        read_compact(token(header(**member), b"{}"), malformed=CODES.malformed)
    assert raised.value.code == "test.malformed"


@pytest.mark.parametrize("member", [{"crit": "b64"}, {"b64": "false"}, {"x5u": "nowhere"}, {"odd": "x"}])
def test_a_header_member_that_the_library_refuses_is_a_refusal_of_ours(member):
    parts = read_compact(token(header(**member), b"{}"), malformed=CODES.malformed)
    with pytest.raises(Unverified) as raised:
        check_compact(parts, ED25519.public, algorithm=CODES.algorithm, signature=CODES.signature)
    assert raised.value.code == "test.signature"


def test_a_statement_too_long_to_be_read_is_not_signed():
    with pytest.raises(Malformed) as raised:
        signed_statement({"x": "y" * TOKEN_CHARS_MAX}, typ=TYP, key=ED25519)
    assert raised.value.code == "statement.size"


def test_the_longest_statement_that_is_signed_is_read_back():
    room = TOKEN_CHARS_MAX - len(signed_statement({"iss": "alice", "x": ""}, typ=TYP, key=ED25519))
    claims: dict[str, JSONValue] = {"iss": "alice", "x": "y" * (room * 3 // 4)}
    longest = signed_statement(claims, typ=TYP, key=ED25519)
    assert TOKEN_CHARS_MAX - 4 < len(longest) <= TOKEN_CHARS_MAX
    assert claims_in(longest) == claims

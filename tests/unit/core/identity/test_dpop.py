"""Reading, judging and making DPoP proofs: each fault alone, beside the proof that it spoils."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from itertools import product
from typing import Any

import pytest
from joserfc import jws as jose
from joserfc.jwk import OctKey

from answerable.core.identity.keys.keys import SigningKey
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.proof.dpop import (
    PROOF_CHARS_MAX,
    check_message,
    check_proof,
    check_signature,
    dpop_proof,
    read_proof,
    token_digest,
    use_of,
)
from answerable.errors import Malformed, Unverified
from tests.worlds.proof import new_key

URL = "https://gateway.example/mcp/crm"
NOW = UnixMillis(1_795_000_000_000)
ED25519 = new_key("dpop")
P256 = new_key("dpop", "ecdsa-p256-sha256")
CLAIMS: dict[str, Any] = {"jti": "0123456789abcdef", "htm": "POST", "htu": URL, "iat": 1_795_000_000}


def b64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def token(*, key: SigningKey = ED25519, header: Any = None, claims: Any = None, **changes: Any) -> str:
    """A proof of this header and these claims, truly signed. changes: of the header; None leaves a member out."""
    if header is None:
        name = "Ed25519" if key.algorithm == "ed25519" else "ES256"
        members = {"typ": "dpop+jwt", "alg": name, "jwk": json.loads(key.public.jwk), **changes}
        header = {name: value for name, value in members.items() if value is not None}
    parts = [
        one if isinstance(one, bytes) else json.dumps(one).encode()
        for one in (header, CLAIMS if claims is None else claims)
    ]
    text = ".".join(b64(part) for part in parts)
    return f"{text}.{b64(key.sign(text.encode()))}"


def refused(text: str, **expected: Any) -> str:
    """The code; fails when the proof is accepted, or refused with more than a line."""
    with pytest.raises(Unverified) as told:
        verified(text, **expected)
    assert told.value.step == "dpop"
    assert len(told.value.message) < 400
    return told.value.code


def verified(text: str, **changes: Any) -> str:
    proof = read_proof(text)
    expected: dict[str, Any] = {
        "method": "POST", "urls": (URL,), "now": NOW, "skew_seconds_max": 60, "token": None
    }  # fmt: skip
    thumbprint = changes.pop("thumbprint", None)
    check_proof(proof, **(expected | changes))
    check_signature(proof, thumbprint=thumbprint)
    return proof.key.thumbprint


@pytest.mark.parametrize("key", [ED25519, P256])
def test_what_we_make_is_read_back_whole(key: SigningKey) -> None:
    text = dpop_proof(
        key, method="POST", url="HTTPS://Gateway.example:443/mcp/crm", identifier="0123456789abcdef",
        issued_at=1_795_000_000, token="a.b.c", nonce="n-1", message=b"{}",
    )  # fmt: skip
    proof = read_proof(text)
    assert proof.key == key.public
    assert (proof.identifier, proof.method, proof.url) == ("0123456789abcdef", "POST", URL)
    assert (proof.issued_at, proof.token_digest, proof.nonce) == (1_795_000_000, token_digest("a.b.c"), "n-1")
    assert verified(text, token="a.b.c", thumbprint=key.public.thumbprint) == key.public.thumbprint
    for needed in (True, False):
        check_message(proof, sha256(b"{}").digest(), needed=needed)


@pytest.mark.requirement("DPOP-01")
@pytest.mark.parametrize("key", [ED25519, P256])
def test_what_we_make_verifies_with_joserfc_alone(key: SigningKey) -> None:
    text = dpop_proof(key, method="GET", url=URL, identifier="0123456789abcdef", issued_at=1)
    name = "Ed25519" if key.algorithm == "ed25519" else "ES256"
    found = jose.deserialize_compact(text, key.jose_key(), algorithms=[name])
    assert found.headers() == {"alg": name, "typ": "dpop+jwt", "jwk": json.loads(key.public.jwk)}
    assert json.loads(found.payload or b"") == {"htm": "GET", "htu": URL, "iat": 1, "jti": "0123456789abcdef"}


def test_a_proof_that_would_be_refused_is_not_made() -> None:
    with pytest.raises(Unverified):
        dpop_proof(ED25519, method="GET", url=URL, identifier="short", issued_at=1)
    with pytest.raises(Malformed):
        dpop_proof(ED25519, method="GET", url=URL + "?q=1", identifier="0123456789abcdef", issued_at=1)


@pytest.mark.requirement("DPOP-03")
def test_the_old_name_of_ed25519_is_understood_for_such_a_key_only() -> None:
    verified(token(alg="EdDSA"))
    assert refused(token(key=P256, alg="EdDSA")) == "dpop.algorithm"
    assert refused(token(alg="ES256")) == "dpop.algorithm"
    assert refused(token(key=P256, alg="Ed25519")) == "dpop.algorithm"


@pytest.mark.requirement("DPOP-03")
@pytest.mark.parametrize(
    "alg", ["none", "None", "HS256", "RS256", "PS256", "ES384", "es256", "", 7, None, ["ES256"]]
)
def test_other_algorithms_are_refused(alg: Any) -> None:
    assert refused(token(alg=alg)) in ("dpop.algorithm", "dpop.malformed")


@pytest.mark.requirement("DPOP-03")
def test_a_mac_under_the_public_key_is_refused() -> None:
    jwk = json.loads(ED25519.public.jwk)
    for secret in (ED25519.public.jwk.encode(), base64.urlsafe_b64decode(jwk["x"] + "=")):
        header = {"alg": "HS256", "typ": "dpop+jwt", "jwk": {"kty": "oct", "k": b64(secret)}}
        text = jose.serialize_compact(
            header, json.dumps(CLAIMS), OctKey.import_key(secret), algorithms=["HS256"]
        )
        assert refused(text) == "dpop.algorithm"


@pytest.mark.requirement("DPOP-03")
@pytest.mark.parametrize("private", ["d", "p", "q", "dp", "dq", "qi", "oth", "k"])
def test_a_private_member_is_refused_and_never_shown(private: str) -> None:
    jwk = {**json.loads(P256.public.jwk), private: "c2VjcmV0"}
    text = token(key=P256, jwk=jwk)
    assert refused(text) == "dpop.key"
    with pytest.raises(Unverified) as told:
        read_proof(text)
    assert "c2VjcmV0" not in told.value.message


@pytest.mark.requirement("DPOP-03")
@pytest.mark.parametrize(
    "jwk",
    [
        None,
        "0ZcOCORZNYy",
        [],
        {},
        {"kty": "oct"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "x": b64(bytes(32)), "y": b64(bytes(32))},
        {"kty": "OKP", "crv": "Ed25519", "x": b64(bytes(32))},
        {"kty": "OKP", "crv": "X25519", "x": b64(b"\x09" + bytes(31))},
        {**json.loads(ED25519.public.jwk), "use": "enc"},
        {**json.loads(ED25519.public.jwk), "key_ops": ["sign"]},
        {**json.loads(ED25519.public.jwk), "alg": "ES256"},
        {**json.loads(ED25519.public.jwk), "x5u": "https://evil.example"},
        {**json.loads(ED25519.public.jwk), "kid": "k" * 400},
        {**json.loads(ED25519.public.jwk), "kid": {"deep": {"deeper": []}}},
    ],
)
def test_a_key_that_is_none_of_ours_is_refused(jwk: Any) -> None:
    assert refused(token(jwk=jwk)) in ("dpop.key", "dpop.malformed")


def test_a_key_may_say_what_is_so_anyway() -> None:
    jwk = {
        **json.loads(ED25519.public.jwk),
        "use": "sig",
        "alg": "Ed25519",
        "kid": "mine",
        "key_ops": ["verify"],
    }
    assert verified(token(jwk=jwk)) == ED25519.public.thumbprint


@pytest.mark.requirement("DPOP-02")
@pytest.mark.parametrize(
    "typ", [None, "", "JWT", "at+jwt", "DPOP+JWT", "application/dpop+jwt", 1, ["dpop+jwt"]]
)
def test_another_type_is_refused(typ: Any) -> None:
    assert refused(token(typ=typ)) in ("dpop.type", "dpop.malformed")


@pytest.mark.requirement("DPOP-02")
@pytest.mark.parametrize("member", ["kid", "crit", "b64", "x5c", "jku", "cty"])
def test_a_header_says_nothing_that_is_not_checked(member: str) -> None:
    added: dict[str, Any] = {member: "x"}
    assert refused(token(**added)) == "dpop.malformed"


@pytest.mark.requirement("DPOP-02")
@pytest.mark.parametrize(
    "claims",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"jti":"0123456789abcdef","jti":"0123456789abcdef"}',
        json.dumps(CLAIMS).encode() + b" {}",
        json.dumps(CLAIMS).encode()[:-1] + b',"iat":NaN}',
        b"\xef\xbb\xbf" + json.dumps(CLAIMS).encode(),
        {**CLAIMS, "x": [[[[[1]]]]]},
        {**CLAIMS, "x": 2**60},
        *({name: value for name, value in CLAIMS.items() if name != left_out} for left_out in CLAIMS),
        *({**CLAIMS, name: value} for name, value in product(CLAIMS, (None, True, [], {}, ""))),
        {**CLAIMS, "iat": "1795000000"},
        {**CLAIMS, "jti": "x" * 7},
        {**CLAIMS, "jti": "x" * 129},
        {**CLAIMS, "jti": "0123456789abcde\n"},
        {**CLAIMS, "jti": "0123456789abcdé"},
        {**CLAIMS, "htm": "P" * 17},
        {**CLAIMS, "htu": "https://h/" + "a" * 2048},
        {**CLAIMS, "ath": "x" * 42},
        {**CLAIMS, "ath": None},
        {**CLAIMS, "nonce": ""},
        {**CLAIMS, "nonce": "x" * 129},
        {**CLAIMS, "answerable/message": "x" * 44},
    ],
)
def test_claims_out_of_form_are_refused(claims: Any) -> None:
    assert refused(token(claims=claims)) == "dpop.malformed"


def test_claims_that_nobody_asks_for_do_no_harm() -> None:
    verified(token(claims={**CLAIMS, "iss": "me", "exp": 1}))


@pytest.mark.requirement("DPOP-02")
def test_a_text_out_of_form_is_refused() -> None:
    good = token()
    header, payload, signature = good.split(".")
    for text in (
        "",
        ".",
        "..",
        f"{header}.{payload}",
        f"{header}.{payload}.",
        f".{payload}.{signature}",
        f"{good}.",
        f"{good}.{signature}.{signature}",
        f"{header}=.{payload}.{signature}",
        f"{header}.{payload}.{signature}==",
        f"{good}, {good}",
        f" {good}",
        f"{good}\n",
        good.replace(".", ".%2e", 1),
        "é" + good,
        good + "A" * PROOF_CHARS_MAX,
    ):
        assert refused(text) == "dpop.malformed", text
    for broken in (b"[]", b"{}", b'"x"', b'{"typ":"dpop+jwt","typ":"dpop+jwt"}', b"{" + b" " * 600 + b"}"):
        assert refused(token(header=broken)) == "dpop.malformed"


@pytest.mark.requirement("DPOP-02")
def test_a_changed_bit_anywhere_is_refused() -> None:
    for key in (ED25519, P256):
        good = token(key=key)
        for place in range(0, len(good), 7):
            changed = good[:place] + ("B" if good[place] == "A" else "A") + good[place + 1 :]
            if changed != good:
                assert refused(changed).startswith("dpop.")


@pytest.mark.requirement("DPOP-02")
def test_a_signature_of_another_length_is_refused() -> None:
    text = token().rpartition(".")[0]
    for size in (0, 1, 63, 65, 96):
        assert refused(f"{text}.{b64(bytes(size))}") in ("dpop.signature", "dpop.malformed")


@pytest.mark.requirement("DPOP-02")
def test_each_check_against_the_request_refuses_by_itself() -> None:
    good = token(claims={**CLAIMS, "ath": token_digest("a.b.c")})
    fitting: dict[str, Any] = {"token": "a.b.c", "thumbprint": ED25519.public.thumbprint}
    verified(good, **fitting)
    for change, code in (
        ({"method": "GET"}, "method"),
        ({"method": "post"}, "method"),
        ({"urls": ()}, "url"),
        ({"urls": ("https://gateway.example/mcp/pay",)}, "url"),
        ({"now": NOW + 60_001}, "time"),
        ({"now": NOW - 60_001}, "time"),
        ({"token": "a.b.d"}, "token"),
        ({"token": ""}, "token"),
        ({"thumbprint": P256.public.thumbprint}, "binding"),
        ({"thumbprint": ""}, "binding"),
        ({"thumbprint": "é"}, "binding"),
    ):
        assert refused(good, **(fitting | change)) == f"dpop.{code}"
    verified(good, **(fitting | {"now": NOW + 60_000}))
    verified(good, **(fitting | {"urls": ("https://other.example/mcp/crm", URL)}))
    assert refused(token(), **fitting) == "dpop.token", "a proof without `ath` is for no token"


@pytest.mark.requirement("DPOP-04")
def test_a_url_is_compared_in_its_one_spelling() -> None:
    for said in ("HTTPS://gateway.example:443/mcp/crm", "https://GATEWAY.example/mcp/./%63rm"):
        verified(token(claims={**CLAIMS, "htu": said}))
    for said in (
        "https://u@gateway.example/mcp/crm",
        "https://gateway.example/mcp%2Fcrm",
        URL + "?a=1",
        "/mcp/crm",
    ):
        assert refused(token(claims={**CLAIMS, "htu": said})) == "dpop.url"


def test_a_time_may_have_a_fraction() -> None:
    verified(token(claims={**CLAIMS, "iat": 1_795_000_000.5}))
    assert refused(token(claims={**CLAIMS, "iat": 1e200})) == "dpop.time"


@pytest.mark.requirement("DPOP-08")
def test_the_message_is_covered_or_the_proof_is_refused_where_it_must_be() -> None:
    covered = read_proof(
        dpop_proof(ED25519, method="POST", url=URL, identifier="0123456789abcdef", issued_at=1, message=b"{}")
    )
    bare = read_proof(token())
    check_message(covered, sha256(b"{}").digest(), needed=True)
    check_message(bare, sha256(b"{}").digest(), needed=False)
    for proof, body, needed in ((covered, b"{ }", True), (covered, b"", False), (bare, b"{}", True)):
        with pytest.raises(Unverified) as told:
            check_message(proof, sha256(body).digest(), needed=needed)
        assert told.value.code == "dpop.message"


def test_a_use_is_of_one_key_and_one_identifier() -> None:
    def use(key: SigningKey, identifier: str, url: str = URL) -> tuple[bytes, bytes]:
        return use_of(read_proof(dpop_proof(key, method="POST", url=url, identifier=identifier, issued_at=1)))

    assert use(ED25519, "0123456789abcdef") == use(ED25519, "0123456789abcdef", "https://other.example/")
    assert use(ED25519, "0123456789abcdef")[0] == use(ED25519, "0123456789abcdeg")[0]
    assert use(ED25519, "0123456789abcdef")[1] != use(ED25519, "0123456789abcdeg")[1]
    assert use(ED25519, "0123456789abcdef")[0] != use(P256, "0123456789abcdef")[0]
    assert [len(part) for part in use(P256, "0123456789abcdef")] == [32, 16]

"""JWKs in, one canonical form out; nothing of a private key in any message."""

from __future__ import annotations

import json

import pytest

from answerable.core.base64url import from_base64url_32, to_base64url
from answerable.core.identity.keys.keys import (
    SEED_BYTES,
    Algorithm,
    PublicKey,
    SigningKey,
    ed25519_public,
    new_private_jwk,
    public_key,
    verify_signature,
)
from answerable.errors import Malformed, Unverified
from answerable.testing.entropy import SeededEntropy

# RFC 8037, appendix A.1 to A.3, and RFC 7515, appendix A.3.
OKP = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
OKP_D = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
OKP_THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
EC = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
ALGORITHMS: tuple[Algorithm, ...] = ("ed25519", "ecdsa-p256-sha256")


def code(jwk: object) -> str:
    with pytest.raises(Malformed) as caught:
        public_key(jwk)  # what a stranger may send
    return caught.value.code


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    assert public_key({**OKP}).thumbprint == OKP_THUMBPRINT
    assert public_key(json.dumps({**OKP, "kid": "a", "use": "sig", "alg": "EdDSA"})) == public_key({**OKP})
    assert json.loads(public_key({**EC}).jwk) == EC
    assert public_key(public_key({**EC}).jwk) == public_key({**EC})


@pytest.mark.parametrize("member", ["d", "k", "p", "q", "dp", "dq", "qi", "oth"])
def test_a_key_with_a_private_member_is_refused_and_not_repeated(member: str) -> None:
    for public in (OKP, EC):
        with pytest.raises(Malformed) as caught:
            public_key({**public, member: "c2VjcmV0"})
        assert caught.value.code == "key.private"
        assert "c2VjcmV0" not in caught.value.message


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"kty": "oct"}, "key.kind"),
        ({"kty": "RSA"}, "key.kind"),
        ({"crv": "Ed448"}, "key.kind"),
        ({"crv": "X25519"}, "key.kind"),
        ({"crv": "P-256"}, "key.kind"),
        ({"crv": ["Ed25519"]}, "key.kind"),
        ({"use": "enc"}, "key.member"),
        ({"alg": "ES256"}, "key.member"),
        ({"alg": "none"}, "key.member"),
        ({"key_ops": ["sign"]}, "key.member"),
        ({"kid": 7}, "key.member"),
        ({"kid": ""}, "key.member"),
        ({"kid": "k" * 129}, "key.member"),
        ({"y": "AA"}, "key.member"),
        ({"x5c": []}, "key.member"),
        ({"x": None}, "key.member"),
        ({"x": OKP["x"] + "="}, "key.member"),
        ({"x": OKP["x"][:-1]}, "key.member"),
        ({"x": OKP["x"][:-1] + "p"}, "key.member"),
        ({"x": OKP["x"][:-1] + "+"}, "key.member"),
        ({"x": "é" * 43}, "key.member"),
        ({"x": to_base64url(b"\x01" + bytes(31))}, "key.point"),
        ({"x": to_base64url(bytes(32))}, "key.point"),
        ({"x": to_base64url(b"\xff" * 32)}, "key.point"),
    ],
)
def test_a_key_that_is_not_exactly_an_ed25519_key_is_refused(
    change: dict[str, object], expected: str
) -> None:
    assert code({**OKP, **change}) == expected


def test_a_point_off_the_curve_and_a_missing_coordinate_are_refused() -> None:
    assert code({**EC, "y": EC["x"]}) == "key.point"
    assert code({**EC, "y": to_base64url(bytes(32)), "x": to_base64url(bytes(32))}) == "key.point"
    assert code({name: EC[name] for name in ("kty", "crv", "x")}) == "key.member"


@pytest.mark.parametrize("text", ["", "[]", '"x"', "null", '{"kty":"OKP","kty":"EC"}', "{", "\ud800"])
def test_text_that_is_no_single_json_object_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        public_key(text)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_a_key_signs_its_public_half_verifies_and_signing_is_deterministic(algorithm: Algorithm) -> None:
    jwk = new_private_jwk(algorithm, SeededEntropy(algorithm).bytes(SEED_BYTES[algorithm]))
    key = SigningKey(jwk)
    signature = key.sign(b"message")
    assert len(signature) == 64
    assert key.sign(b"message") == signature
    verify_signature(key.public, b"message", signature)
    for message, broken in (
        (b"massage", signature),
        (b"message", signature[:-1]),
        (b"message", signature + b"\0"),
    ):
        with pytest.raises(Unverified) as caught:
            verify_signature(key.public, message, broken)
        assert caught.value.step == "signature"
    secret = jwk["d"]
    assert isinstance(secret, str)
    for silent in (key, key.jose_key()):
        assert secret not in f"{silent!r} {silent}"


def test_the_signature_of_rfc_8037_comes_out() -> None:
    key = SigningKey({**OKP, "d": OKP_D})
    signing_input = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    assert to_base64url(key.sign(signing_input)) == (
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    )


@pytest.mark.parametrize(
    "jwk",
    [
        OKP,
        {**OKP, "d": "short"},
        {**OKP, "d": EC["x"]},
        {**EC, "d": to_base64url(bytes(32))},
        {**EC, "d": to_base64url(b"\xff" * 32)},
        {**EC, "d": OKP["x"]},
    ],
)
def test_a_private_key_that_is_incomplete_or_of_two_halves_is_refused(jwk: dict[str, str]) -> None:
    with pytest.raises(Malformed) as caught:
        SigningKey(dict(jwk))
    assert jwk.get("d", "-") not in caught.value.message


def test_seeds_have_one_length() -> None:
    with pytest.raises(Malformed):
        new_private_jwk("ed25519", bytes(31))


def test_a_key_nobody_checked_does_not_verify_anything() -> None:
    with pytest.raises(Malformed):
        verify_signature(PublicKey(jwk="{}", thumbprint=""), b"", bytes(64))


@pytest.mark.parametrize(
    "text", ["", "A" * 42, "A" * 44, "A" * 42 + "B", "A" * 42 + "=", "A" * 42 + "\n", "*" * 43]
)
def test_base64url_has_one_spelling(text: str) -> None:
    assert from_base64url_32(text) is None
    assert from_base64url_32("A" * 43) == bytes(32)


def test_the_raw_point_of_an_ed25519_key_comes_out_and_of_no_other() -> None:
    assert to_base64url(ed25519_public(public_key({**OKP}))) == OKP["x"]
    for other in (public_key({**EC}), PublicKey(jwk="{}", thumbprint="")):
        with pytest.raises(Malformed):
            ed25519_public(other)

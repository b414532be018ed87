"""Which key of a JWK Set may have signed a token."""

from __future__ import annotations

import json

import pytest

from answerable.core.base64url import to_base64url
from answerable.core.identity.workload.issuer_key import issuer_key, key_ids
from answerable.errors import AnswerableError
from tests.worlds.attestation import jose_key, key_set, public_jwk, rsa_key


def code_of(keys: bytes, algorithm: str = "ES256", kid: str | None = "k") -> str:
    with pytest.raises(AnswerableError) as told:
        issuer_key(keys, kid=kid, algorithm=algorithm)
    return told.value.code


GOOD = public_jwk("ES256", kid="k")


def test_the_key_that_is_named_is_found():
    keys = key_set(public_jwk("RS256", kid="other"), {**GOOD, "x5c": ["junk"], "alg": "ES256", "use": "sig"})
    assert issuer_key(keys, kid="k", algorithm="ES256").as_dict(private=False)["x"] == GOOD["x"]
    assert key_ids(keys) == {"k", "other"}


def test_without_a_name_the_only_fitting_key_is_taken():
    keys = key_set(public_jwk("RS256", kid="other"), GOOD)
    assert issuer_key(keys, kid=None, algorithm="ES256")
    assert code_of(key_set(GOOD, public_jwk("ES256", "second", kid="l")), kid=None) == "oidc.key"


@pytest.mark.parametrize(
    "change",
    [
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
        {"alg": "ES384"},
        {"kty": "oct", "k": "AAAA"},
        {"d": "AAAA"},
        {"crv": "P-384"},
        {"crv": "secp256k1"},
        {"x": "AAAA"},
        {"x": "!"},
        {"x": 7},
        {"kid": "other"},
    ],
)
def test_a_key_that_does_not_fit_is_passed_over(change):
    assert code_of(key_set({**GOOD, **change})) == "oidc.key"


def test_a_key_without_its_members_is_no_key():
    assert code_of(key_set({"kty": "RSA", "kid": "k", "n": "AQAB"}), "RS256") == "oidc.key"
    assert code_of(key_set({"kty": "RSA", "kid": "k", "n": "AQAB", "e": "AQAB"}), "RS256") == "oidc.key"
    assert code_of(key_set({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "AA"}), "Ed25519") == "oidc.key"


@pytest.mark.parametrize("exponent", ["AQ", "AQAAAAE"])
def test_an_rsa_exponent_out_of_bounds_is_no_key(exponent):
    assert code_of(key_set({**public_jwk("RS256", kid="k"), "e": exponent}), "RS256") == "oidc.key"


def test_small_rsa_keys_are_refused():
    numbers = rsa_key("small", 1024).public_key().public_numbers()
    modulus = to_base64url(numbers.n.to_bytes(128, "big"))
    small = {"kty": "RSA", "n": modulus, "e": "AQAB"}
    assert code_of(key_set({**small, "kid": "k"}), "RS256") == "oidc.key"
    assert rsa_key("issuer").key_size == 2048


def test_a_name_that_two_keys_share_names_none():
    assert code_of(key_set(GOOD, public_jwk("RS256", kid="k"))) == "oidc.key"


def test_an_edwards_key_goes_by_both_names():
    for alg in ("Ed25519", "EdDSA"):
        for named in ("Ed25519", "EdDSA"):
            assert issuer_key(key_set(public_jwk("Ed25519", kid="k", alg=named)), kid="k", algorithm=alg)
    assert jose_key("Ed25519")


@pytest.mark.parametrize(
    "keys",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": [], "keys": []}',
        json.dumps({"keys": [{}] * 65}).encode(),
    ],
)
def test_what_is_no_key_set_is_malformed(keys):
    assert code_of(keys) == "oidc.key_set"


def test_members_of_a_set_that_are_no_keys_are_passed_over():
    assert key_ids(b'{"keys": [7, {"kid": 7}, {"kid": "k"}]}') == {"k"}

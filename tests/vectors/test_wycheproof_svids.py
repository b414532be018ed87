"""Wycheproof through the signature path of JWT-SVIDs: keys as a bundle holds them, tokens as a stranger sends them.

Its JWS file is judged whole: parser, key, algorithm, signature. The ECDSA and RSA files sign bytes that are no token,
so they go to the very verifier that `check_token` has joserfc use, with a key that went through our form.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws as jose
from joserfc.jwk import ECKey, RSAKey

from answerable.core.identity.keys.compact_jws import read_compact
from answerable.core.base64url import to_base64url
from answerable.core.identity.svid.svid_keys import canonical_jwk, check_token
from answerable.errors import Malformed, Unverified
from answerable.errors.codes.identity import SVID_MALFORMED

ACCEPTABLE = {
    # An AlgorithmIdentifier without NULL, which RFC 8017 section 8.2.2 lets a verifier refuse; OpenSSL does.
    "rsa_signature_2048_sha256_test.json": False,
}

REFUSED_THOUGH_VALID = (
    ("HS256", "a MAC"),
    ("ES521", "no such algorithm"),
    ("Figure20", "not the key's algorithm"),
    ("emptyPayload", "no claims"),
)
"""What we refuse on purpose, by a mark in key and comment."""

RIGHT_AFTER_ALL = {
    "rsa_pss_2048_sha256_mgf1_0_test.json": {"s_len changed to 32"},
    "rsa_pss_2048_sha256_mgf1sha1_20_test.json": set(),
}
"""Faults of a signature that make it one of PS256."""


def groups(vector_set: Callable[[str], Path], name: str) -> list[dict[str, Any]]:
    file = vector_set("wycheproof") / "testvectors_v1" / name
    found: list[dict[str, Any]] = json.loads(file.read_text())["testGroups"]
    return found


def accepts_token(jwk: dict[str, Any], token: object) -> bool:
    if not isinstance(token, str):
        return False  # The JSON serialisation of a JWS has no way into our reader, which takes text.
    try:
        text = canonical_jwk(jwk)
        if text is None:
            return False
        check_token(read_compact(token, malformed=SVID_MALFORMED), text)
    except (Malformed, Unverified):
        return False
    return True


@pytest.mark.requirement("SPIFFE-07")
def test_tokens_are_accepted_exactly_where_valid_and_of_the_algorithm_their_key_names(
    vector_set: Callable[[str], Path],
) -> None:
    judged = accepted = 0
    refused: Counter[str] = Counter()
    for group in groups(vector_set, "json_web_signature_test.json"):
        jwk = group.get("public") or group["private"]
        for case in group["tests"]:
            judged += 1
            took = accepts_token(jwk, case["jws"])
            accepted += took
            if case["result"] != "valid":
                assert not took, (case["tcId"], case["comment"])
            elif not took:
                reason = next(
                    (r for mark, r in REFUSED_THOUGH_VALID if mark in f"{jwk['alg']} {case['comment']}")
                )
                refused[reason] += 1
    assert (judged, accepted) == (401, 26)
    assert refused == {"a MAC": 10, "no such algorithm": 2, "not the key's algorithm": 2, "no claims": 6}


def verifier(jwk: dict[str, Any], algorithm: str) -> Callable[[bytes, bytes], bool]:
    """What `check_token` ends in: the algorithm of joserfc with a key in our form."""
    text = canonical_jwk({**jwk, "alg": algorithm})
    assert text is not None
    members = json.loads(text)
    key = RSAKey.import_key(members) if members["kty"] == "RSA" else ECKey.import_key(members)
    model = jose.JWSRegistry(algorithms=[algorithm]).get_alg(algorithm)
    return lambda message, signature: bool(model.verify(message, signature, key))


@pytest.mark.requirement("SPIFFE-07")
def test_ecdsa_signatures_on_p256_are_judged_as_expected(vector_set: Callable[[str], Path]) -> None:
    checked = 0
    for group in groups(vector_set, "ecdsa_secp256r1_sha256_p1363_test.json"):
        x, y = (int(group["publicKey"][part], 16).to_bytes(32, "big") for part in ("wx", "wy"))
        accepts = verifier({"kty": "EC", "crv": "P-256", "x": to_base64url(x), "y": to_base64url(y)}, "ES256")
        for case in group["tests"]:
            got = accepts(bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
            assert got is (case["result"] == "valid"), (case["tcId"], case["comment"])
            checked += 1
    assert checked == 262


@pytest.mark.requirement("SPIFFE-07")
def test_ecdsa_signatures_in_der_are_never_taken_for_those_of_a_token(
    vector_set: Callable[[str], Path],
) -> None:
    checked = 0
    for group in groups(vector_set, "ecdsa_secp256r1_sha256_test.json"):
        x, y = (int(group["publicKey"][part], 16).to_bytes(32, "big") for part in ("wx", "wy"))
        accepts = verifier({"kty": "EC", "crv": "P-256", "x": to_base64url(x), "y": to_base64url(y)}, "ES256")
        for case in group["tests"]:
            assert not accepts(bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])), case["tcId"]
            checked += 1
    assert checked == 484


@pytest.mark.requirement("SPIFFE-07")
@pytest.mark.parametrize(
    ("name", "algorithm", "cases"),
    [
        ("rsa_signature_2048_sha256_test.json", "RS256", 259),
        ("rsa_pss_2048_sha256_mgf1_32_test.json", "PS256", 108),
        ("rsa_pss_2048_sha256_mgf1_0_test.json", "PS256", None),
        ("rsa_pss_2048_sha256_mgf1sha1_20_test.json", "PS256", None),
    ],
)
def test_rsa_signatures_are_judged_as_expected(
    vector_set: Callable[[str], Path], name: str, algorithm: str, cases: int | None
) -> None:
    checked = 0
    for group in groups(vector_set, name):
        n, e = (
            bytes.fromhex(group["publicKey"][part]).lstrip(b"\0") for part in ("modulus", "publicExponent")
        )
        accepts = verifier({"kty": "RSA", "n": to_base64url(n), "e": to_base64url(e)}, algorithm)
        fits = algorithm == "RS256" or (group["sLen"], group["mgfSha"]) == (32, "SHA-256")
        for case in group["tests"]:
            expected = case["result"] == "valid" or (case["result"] == "acceptable" and ACCEPTABLE[name])
            if not fits:
                # RFC 7518 section 3.5 fixes salt and mask, so signatures of other parameters are no JWS.
                expected = case["comment"] in RIGHT_AFTER_ALL[name]
            got = accepts(bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
            assert got is expected, (case["tcId"], case["comment"])
            checked += 1
    assert checked == cases or cases is None

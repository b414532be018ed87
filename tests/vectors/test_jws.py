"""Wycheproof's JWS vectors: valid ones of an algorithm we allow verify, all others are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from answerable.core.identity.keys.compact_jws import check_compact, read_compact
from answerable.core.identity.keys.keys import public_key
from answerable.errors import Malformed, Unverified
from answerable.errors.codes.tokens import CLIENT_ALGORITHM, CLIENT_MALFORMED, CLIENT_SIGNATURE

CASES = 401
VALID_HERE = {"ES256"}
"""The set has no Ed25519. RSA, HMAC and P-521 are refused on purpose, however valid."""


def accepted(jwk: dict[str, Any], token: object) -> bool:
    """Whether our reader and a key registered from this JWK accept the token; raises nothing but our own refusals."""
    if not isinstance(token, str):
        return False  # The JSON serialisation of a JWS has no way into our reader, which takes text.
    try:
        jws = read_compact(token, malformed=CLIENT_MALFORMED)
        check_compact(jws, public_key(jwk), algorithm=CLIENT_ALGORITHM, signature=CLIENT_SIGNATURE)
    except (Malformed, Unverified):
        return False
    return True


@pytest.mark.requirement("JWS-01")
def test_tokens_verify_exactly_where_they_are_valid_and_of_an_allowed_algorithm(
    vector_set: Callable[[str], Path],
) -> None:
    file = vector_set("wycheproof") / "testvectors_v1" / "json_web_signature_test.json"
    groups = json.loads(file.read_text())["testGroups"]
    seen = valid = 0
    wrong: list[str] = []
    for group in groups:
        key = group.get("public") or group["private"]
        for case in group["tests"]:
            seen += 1
            expected = case["result"] == "valid" and key.get("alg") in VALID_HERE
            valid += expected
            if accepted(key, case["jws"]) is not expected:
                wrong.append(f"{case['tcId']} {case['comment']}: expected {expected}")
    assert not wrong, "\n".join(wrong)
    assert (seen, valid) == (CASES, 2)

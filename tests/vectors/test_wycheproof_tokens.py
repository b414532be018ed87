"""Wycheproof's sets of JWS, JWK, JWE and web crypto through the strict reader that stands before every token here.

The verdict is that of `read_compact`, `public_key` and `check_compact` together, as for a key that an agent or issuer
registers. What Wycheproof calls valid and we refuse is refused for one of the reasons in `REFUSED_ON_PURPOSE`; nothing
that it calls invalid is accepted.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws as jose
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry

from answerable.core.identity.keys.compact_jws import check_compact, read_compact
from answerable.core.identity.proof.dpop import read_proof
from answerable.core.base64url import to_base64url
from answerable.core.identity.keys.keys import (public_key)
from answerable.errors import Malformed, Unverified
from tests.worlds.proof import new_key
from tests.worlds.token_codes import token_codes

pytestmark = pytest.mark.requirement("DPOP-11")

REFUSED_ON_PURPOSE = {
    "key.private": "a MAC: whoever can check it can make it, so no key of that kind is ever registered",
    "key.kind": "RSA or P-521: agents and issuers register Ed25519 and P-256 alone (SVIDs have a verifier of their own)",
    "test.malformed": "no claims at all, or a character that is not base64url: one token has one spelling",
}
"""Why a valid token is refused, by the code of the refusal."""

ACCEPTED = "accepted"
CODES = token_codes("test")


def verdict(jwk: dict[str, Any], token: object) -> str:
    """The code of the refusal, or `accepted`. Only our own refusals pass for one."""
    if not isinstance(token, str):
        return "no text"  # The JSON serialisation has no way into our reader.
    try:
        jws = read_compact(token, malformed=CODES.malformed)
        check_compact(jws, public_key(jwk), algorithm=CODES.algorithm, signature=CODES.signature)
    except (Malformed, Unverified) as error:
        return error.code
    return ACCEPTED


def cases(
    vector_set: Callable[[str], Path], name: str
) -> Iterator[tuple[list[dict[str, Any]], dict[str, Any]]]:
    """Each test with the keys that may have signed it."""
    file = vector_set("wycheproof") / "testvectors_v1" / f"json_web_{name}_test.json"
    for group in json.loads(file.read_text())["testGroups"]:
        key = group.get("public") or group["private"]
        for case in group["tests"]:
            yield key.get("keys", [key]), case


@pytest.mark.parametrize(
    ("name", "judged", "accepted", "refused_though_valid"),
    [
        ("signature", 401, 2, {"key.private": 8, "key.kind": 28, "test.malformed": 8}),
        ("key", 26, 0, {"key.private": 4, "key.kind": 1}),
        ("crypto", 49, 1, {"key.private": 2, "key.kind": 1}),
    ],
)
def test_signed_tokens_are_judged_as_expected_but_for_what_is_refused_on_purpose(
    vector_set: Callable[[str], Path],
    name: str,
    judged: int,
    accepted: int,
    refused_though_valid: dict[str, int],
) -> None:
    told: Counter[str] = Counter()
    seen = 0
    for keys, case in cases(vector_set, name):
        if "jws" not in case:
            continue
        seen += 1
        # With each key of a set by itself, since we look a key up and never try: none may accept what is invalid.
        verdicts = [verdict(key, case["jws"]) for key in keys]
        if case["result"] != "valid":
            assert ACCEPTED not in verdicts, (case["tcId"], case["comment"])
        else:
            told[ACCEPTED if ACCEPTED in verdicts else verdicts[0]] += 1
    assert (seen, told.pop(ACCEPTED, 0)) == (judged, accepted)
    assert told == refused_though_valid
    assert told.keys() <= REFUSED_ON_PURPOSE.keys()


def test_what_joserfc_alone_takes_of_the_invalid_ones_is_one_valid_text_and_is_refused_here(
    vector_set: Callable[[str], Path],
) -> None:
    """Numbers 367 and 370 are to have padding, but in the file they are, byte for byte, the valid number 357. So joserfc
    is right to take them; here they fall with every other MAC. What their names promise is tested below."""
    found = list(cases(vector_set, "signature"))
    valid = {case["jws"]: case["tcId"] for _, case in found if case["result"] == "valid"}
    taken: dict[int, int] = {}
    for (key, *_), case in found:
        if case["result"] == "valid" or not isinstance(case["jws"], str) or "alg" not in key:
            continue
        try:
            jose.deserialize_compact(case["jws"], JWKRegistry.import_key(key), algorithms=[key["alg"]])
        except (JoseError, ValueError):
            continue
        taken[case["tcId"]] = valid[case["jws"]]
        assert verdict(key, case["jws"]) == "key.private"
    assert taken == {367: 357, 370: 357}


@pytest.mark.parametrize("padded", ["header", "payload", "signature"])
def test_a_token_that_was_signed_with_padding_in_it_is_refused(padded: str) -> None:
    key = new_key("padding")
    parts = {"header": b'{"alg":"Ed25519"}', "payload": b'{"iss":"ada"}'}
    texts = {name: urlsafe_b64encode(octets).decode().rstrip("=") for name, octets in parts.items()}
    whole = ".".join(text + "=" * (-len(text) % 4) * (name == padded) for name, text in texts.items())
    token = f"{whole}.{to_base64url(key.sign(whole.encode()))}" + "==" * (padded == "signature")
    assert token.count("=") >= 1
    with pytest.raises(Malformed) as told:
        read_compact(token, malformed=CODES.malformed)
    assert "base64url without padding" in told.value.message
    plain = ".".join(texts.values())
    assert (
        verdict(json.loads(key.public.jwk), f"{plain}.{to_base64url(key.sign(plain.encode()))}") == ACCEPTED
    )


def test_a_key_whose_alg_is_not_the_headers_verifies_nothing(vector_set: Callable[[str], Path]) -> None:
    told = 0
    for keys, case in cases(vector_set, "key"):
        if "mismatched" in case["comment"].lower():
            told += 1
            assert [verdict(key, case["jws"]) for key in keys] in (["key.kind"], ["key.member"])
    assert told == 2


@pytest.mark.parametrize(("name", "judged", "whole"), [("encryption", 139, 128), ("crypto", 34, 23)])
def test_no_encrypted_token_is_taken_and_a_whole_one_is_told_why(
    vector_set: Callable[[str], Path], name: str, judged: int, whole: int
) -> None:
    seen, told = 0, 0
    for _, case in cases(vector_set, name):
        if "jwe" not in case:
            continue
        seen += 1
        if not isinstance(case["jwe"], str):
            continue  # The JSON serialisation has no way into our reader.
        with pytest.raises(Malformed) as refusal:
            read_compact(case["jwe"], malformed=CODES.malformed)
        assert refusal.value.code == "test.malformed"
        told += "encrypted tokens (JWE) are not accepted, send a signed one" in refusal.value.message
        with pytest.raises(Unverified):
            read_proof(case["jwe"])
    assert (seen, told) == (judged, whole)

"""Ed25519 and P-256 against Wycheproof, CCTV's odd points, RFC 9421's and WIMSE's signed requests.

The rule for Ed25519 is the strictest there is. A key is the canonical encoding of a point of the prime order group but
the neutral element, checked when it is registered. R is canonical and not of low order, S is below the group
order, and R is compared byte for byte without multiplying by the cofactor, checked by libsodium for each signature.
So of CCTV's 914 vectors exactly the ones without any flag are accepted.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import pytest

from answerable.core.identity.proof.http_signature import (
    SignedRequest,
    digest_field,
    parse_signature,
    signature_base,
)
from answerable.core.base64url import to_base64url
from answerable.core.identity.keys.keys import (public_key, verify_signature)
from answerable.errors import Malformed, Unverified


def accepts(jwk: dict[str, str], message: bytes, signature: bytes) -> bool:
    try:
        verify_signature(public_key({**jwk}), message, signature)
    except (Malformed, Unverified):
        return False
    return True


@pytest.mark.requirement("PROOF-06")
def test_of_the_odd_ed25519_points_only_flawless_ones_are_accepted(vector_set: Callable[[str], Path]) -> None:
    vectors = json.loads((vector_set("cctv-signatures") / "ed25519/ed25519vectors.json").read_text())
    assert len(vectors) == 914
    for vector in vectors:
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": to_base64url(bytes.fromhex(vector["key"]))}
        accepted = accepts(jwk, vector["msg"].encode(), bytes.fromhex(vector["sig"]))
        assert accepted is (not vector["flags"]), vector["number"]


@pytest.mark.requirement("PROOF-06")
def test_every_ed25519_case_of_wycheproof_is_judged_as_expected(vector_set: Callable[[str], Path]) -> None:
    groups = json.loads((vector_set("wycheproof") / "testvectors_v1/ed25519_test.json").read_text())[
        "testGroups"
    ]
    cases = [
        (
            {"kty": "OKP", "crv": "Ed25519", "x": to_base64url(bytes.fromhex(group["publicKey"]["pk"]))},
            test,
        )
        for group in groups
        for test in group["tests"]
    ]
    assert len(cases) == 151
    for jwk, test in cases:
        accepted = accepts(jwk, bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"]))
        assert accepted is (test["result"] == "valid"), (test["tcId"], test["comment"])


@pytest.mark.requirement("PROOF-06")
def test_every_p256_case_of_wycheproof_is_judged_as_expected(vector_set: Callable[[str], Path]) -> None:
    name = "testvectors_v1/ecdsa_secp256r1_sha256_p1363_test.json"
    groups = json.loads((vector_set("wycheproof") / name).read_text())["testGroups"]
    checked = 0
    for group in groups:
        x, y = (int(group["publicKey"][part], 16).to_bytes(32, "big") for part in ("wx", "wy"))
        jwk = {"kty": "EC", "crv": "P-256", "x": to_base64url(x), "y": to_base64url(y)}
        for test in group["tests"]:
            accepted = accepts(jwk, bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"]))
            assert accepted is (test["result"] == "valid"), (test["tcId"], test["comment"])
            checked += 1
    assert checked == 262


@pytest.mark.requirement("PROOF-07")
def test_the_signed_request_of_the_wimse_draft_verifies_and_is_not_in_our_profile(
    vector_set: Callable[[str], Path],
) -> None:
    directory = vector_set("wimse")
    jwk = json.loads((directory / "keys.json").read_text())["http_signature_svc_a"]
    head, *lines = (directory / "sigs-request.txt").read_text().splitlines()
    fields = dict(line.split(": ", 1) for line in lines if line)
    method, target, _ = head.split(" ")
    parameters = fields["Signature-Input"].removeprefix("wimse=")
    # RFC 9421 section 2.5, with the components that the draft covers.
    base = (
        f'"@method": {method}\n"@request-target": {target}\n'
        f'"workload-identity-token": {fields["Workload-Identity-Token"]}\n"@signature-params": {parameters}'
    )
    signature = b64decode(fields["Signature"].removeprefix("wimse=:").removesuffix(":"))
    key = public_key({name: jwk[name] for name in ("kty", "crv", "x")})
    verify_signature(key, base.encode(), signature)
    foreign = SignedRequest(
        method=method.encode(),
        authority=fields["Host"].encode(),
        target=target.encode(),
        body=b"",
        signature_input=fields["Signature-Input"].encode(),
        signature=fields["Signature"].encode(),
    )
    with pytest.raises(Unverified):
        parse_signature(foreign)


@pytest.mark.requirement("PROOF-07")
def test_content_digest_and_ed25519_example_of_rfc_9421_come_out() -> None:
    # Appendix B.2.6, with the key of B.1.4; the digest of an empty body is that of RFC 6234's empty message.
    key = public_key({"kty": "OKP", "crv": "Ed25519", "x": "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"})
    base = (
        '"date": Tue, 20 Apr 2021 02:07:55 GMT\n"@method": POST\n"@path": /foo\n"@authority": example.com\n'
        '"content-type": application/json\n"content-length": 18\n'
        '"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length")'
        ';created=1618884473;keyid="test-key-ed25519"'
    )
    signature = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
    verify_signature(key, base.encode(), b64decode(signature))
    empty = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    assert digest_field(empty) == b"sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
    assert signature_base(SignedRequest(method=b"A", authority=b"", target=b"", body=b""), b"").startswith(
        b'"@method": A'
    )

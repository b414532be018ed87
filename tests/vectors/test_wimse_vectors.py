"""The workload identity token of the WIMSE draft: its signature verifies, and as a WIT-SVID it is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from answerable.core.canonical import parse
from answerable.core.identity.keys.compact_jws import read_compact
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.names.spiffe_id import trust_domain
from answerable.core.identity.svid.svid_keys import canonical_jwk, check_token
from answerable.core.identity.svid.trust_bundle import TrustBundle
from answerable.core.identity.svid.wit_svid import verified_wit_svid
from answerable.errors import Unverified
from answerable.errors.codes.identity import SVID_MALFORMED
from tests.worlds.svid import only


@pytest.fixture(scope="module")
def wimse(vector_set: Callable[[str], Path]) -> Path:
    return vector_set("wimse")


def issuer(wimse: Path) -> tuple[str, str]:
    """`kid` and canonical JWK of the published issuer."""
    published = json.loads((wimse / "keys.json").read_text())["wit_issuer_public"]
    jwk = canonical_jwk(published)
    assert jwk is not None
    return published["kid"], jwk


@pytest.mark.requirement("SPIFFE-06")
def test_the_token_of_the_draft_verifies_with_the_published_key_and_no_longer_when_changed(
    wimse: Path,
) -> None:
    text = (wimse / "wit.txt").read_text().strip()
    kid, jwk = issuer(wimse)
    jws = read_compact(text, malformed=SVID_MALFORMED)
    assert jws.header == {"alg": "ES256", "kid": kid, "typ": "wit+jwt"}
    check_token(jws, jwk)
    header, payload, signature = text.split(".")
    for place in range(0, len(signature) - 1, 7):
        other = "B" if signature[place] == "A" else "A"
        changed = f"{header}.{payload}.{signature[:place]}{other}{signature[place + 1 :]}"
        with pytest.raises(Unverified) as caught:
            check_token(read_compact(changed, malformed=SVID_MALFORMED), jwk)
        assert caught.value.code == "svid.signature"


@pytest.mark.requirement("SPIFFE-06")
def test_the_header_field_of_the_draft_carries_the_same_token(wimse: Path) -> None:
    name, text = (wimse / "wit-header.txt").read_text().strip().split(": ")
    assert name == "Workload-Identity-Token"
    assert text == (wimse / "wit.txt").read_text().strip()


@pytest.mark.requirement("SPIFFE-06")
def test_a_wimse_identifier_and_an_ed25519_key_make_no_wit_svid(wimse: Path) -> None:
    text = (wimse / "wit.txt").read_text().strip()
    claims = parse(read_compact(text, malformed=SVID_MALFORMED).payload)
    assert isinstance(claims, dict)
    assert claims["sub"] == "wimse://example.com/specific-workload"
    assert canonical_jwk(json.loads(json.dumps(claims["cnf"]))["jwk"]) is None
    kid, jwk = issuer(wimse)
    bundle = TrustBundle(trust_domain=trust_domain("example.com"), wit_authorities={kid: jwk})
    first, _ = json.loads((wimse / "expectations.json").read_text())["valid_at"]["wit.txt"]
    with pytest.raises(Unverified) as caught:
        verified_wit_svid(text, bundle_of=only(bundle), now=UnixMillis(first * 1000))
    assert caught.value.code == "svid.id"


@pytest.mark.requirement("SPIFFE-06")
def test_the_tokens_in_the_signed_messages_are_read_but_their_issuer_is_not_ours(wimse: Path) -> None:
    kid, jwk = issuer(wimse)
    for name in ("sigs-request.txt", "sigs-response.txt"):
        lines = (wimse / name).read_text().splitlines()
        fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        jws = read_compact(fields["Workload-Identity-Token"], malformed=SVID_MALFORMED)
        assert jws.header["kid"] != kid
        with pytest.raises(Unverified):
            check_token(jws, jwk)

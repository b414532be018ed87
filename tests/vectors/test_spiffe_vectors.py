"""SPIFFE's own examples, and those of go-spiffe: IDs, bundles, certificates, a WIT-SVID; and a table of our own.

Where we are stricter than go-spiffe, on purpose, a table here names the file and why. All certificates are judged at a
time within their dates.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from answerable.core.canonical import parse
from answerable.core.identity.svid.certificate_rules import read_certificate
from answerable.core.identity.keys.compact_jws import read_compact
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.names.spiffe_id import TrustDomain, spiffe_id, trust_domain
from answerable.core.identity.svid.svid_keys import canonical_jwk, jwk_text
from answerable.core.identity.svid.trust_bundle import (
    TrustBundle,
    encoded_bundle,
    parse_bundle,
    parse_jwt_bundle,
    parse_wit_bundle,
)
from answerable.core.identity.svid.wit_svid import verified_wit_svid
from answerable.core.identity.svid.x509_svid import presented_id, verified_x509_svid
from answerable.errors import Malformed, Unverified
from answerable.errors.codes.identity import SVID_MALFORMED
from tests.worlds.svid import only

DOMAIN = trust_domain("example.org")
MARCH_2020 = UnixMillis(1_585_059_000_000)
"""2020-03-24T14:10:00Z, when leaf and intermediate of go-spiffe were valid."""

STRICTER_BUNDLES = {
    "bundle/x509bundle/cert.pem": "version 1, RSA of 768 bits, no basic constraints: no signing certificate",
    "bundle/x509bundle/certs.pem": "the same certificate twice over",
}

_PEM = re.compile(rb"-----BEGIN ([A-Z ]+)-----\n(.*?)-----END \1-----", re.DOTALL)


@pytest.fixture(scope="module")
def spiffe(vector_set: Callable[[str], Path]) -> Path:
    return vector_set("spiffe")


def judgement(judge: Callable[..., object], *given: object, **named: object) -> bool:
    """Whether it is accepted; anything but a refusal of ours fails the test."""
    try:
        judge(*given, **named)
    except (Malformed, Unverified):
        return False
    return True


def blocks(file: Path, kind: bytes) -> list[bytes]:
    """Contents of the PEM blocks of a kind; our documents are DER and JSON, so PEM is read here alone."""
    return [b64decode(body) for label, body in _PEM.findall(file.read_bytes()) if label == kind]


# --- IDs ------------------------------------------------------------------------------------------


@pytest.mark.requirement("SPIFFE-01")
def test_ids_of_go_spiffe_and_of_the_standard_are_judged_as_expected(spiffe: Path) -> None:
    cases = json.loads((spiffe / "spiffe-ids.json").read_text())
    assert (len(cases["ids"]), len(cases["trust_domains"]), len(cases["examples_in_standard"])) == (25, 10, 4)
    for case in cases["ids"]:
        assert judgement(spiffe_id, case["id"]) is case["valid"], case
        if case["valid"]:
            read = spiffe_id(case["id"])
            assert (read.trust_domain, read.path) == (case["trust_domain"], case["path"])
            assert str(read) == case["id"]
    for case in cases["examples_in_standard"]:
        assert str(spiffe_id(case["id"])) == case["id"]


@pytest.mark.requirement("SPIFFE-01")
def test_trust_domains_of_go_spiffe_are_judged_as_expected(spiffe: Path) -> None:
    for case in json.loads((spiffe / "spiffe-ids.json").read_text())["trust_domains"]:
        text = case["input"]
        if not text:
            assert judgement(trust_domain, "") is False
            continue
        assert judgement(spiffe_id, text) is case["valid"], case
        if case["valid"]:
            assert spiffe_id(text).trust_domain == trust_domain(case["trust_domain"])


@pytest.mark.requirement("SPIFFE-01")
def test_each_code_point_is_allowed_exactly_where_go_spiffe_allows_it(spiffe: Path) -> None:
    rule = json.loads((spiffe / "spiffe-ids.json").read_text())["characters"]
    upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    for character in map(chr, range(0x100)):
        in_path = judgement(spiffe_id, f"spiffe://trustdomain/path{character}")
        assert in_path is (character in rule["path_allowed"]), repr(character)
        bare = judgement(trust_domain, f"trustdomain{character}")
        assert bare is (character in rule["trust_domain_allowed"]), repr(character)
        if character != "/":
            # go-spiffe refuses capitals; SPIFFE-ID section 2.4 compares trust domains without case.
            in_domain = judgement(spiffe_id, f"spiffe://trustdomain{character}/path")
            assert in_domain is (character in rule["trust_domain_allowed"] + upper), repr(character)


@pytest.mark.requirement("SPIFFE-01")
def test_the_limits_of_the_standard_are_supported_and_not_exceeded(spiffe: Path) -> None:
    limits = json.loads((spiffe / "spiffe-ids.json").read_text())["limits"]
    domain = "d" * limits["trust_domain_bytes"]
    room = limits["id_bytes_must_support"] - len(f"spiffe://{domain}/")
    assert judgement(spiffe_id, f"spiffe://{domain}/{'p' * room}")
    assert not judgement(spiffe_id, f"spiffe://{domain}/{'p' * (room + 1)}")
    assert not judgement(spiffe_id, f"spiffe://{domain}d/p")


# --- bundles --------------------------------------------------------------------------------------


def counts(bundle: TrustBundle) -> dict[str, Any]:
    """As `expectations.json` counts."""
    found = {"jwt_keys": len(bundle.jwt_authorities), "wit_keys": len(bundle.wit_authorities)}
    return {**found, "sequence": bundle.sequence, "refresh_hint": bundle.refresh_hint}


@pytest.mark.requirement("SPIFFE-02")
def test_bundle_documents_of_go_spiffe_are_judged_and_counted_as_expected(spiffe: Path) -> None:
    cases = json.loads((spiffe / "expectations.json").read_text())["spiffe_bundle"]
    assert len(cases) == 6
    for case in cases:
        text = (spiffe / case["file"]).read_bytes()
        assert judgement(parse_bundle, text, domain=DOMAIN) is case["valid"], case
        if case["valid"]:
            bundle = parse_bundle(text, domain=DOMAIN)
            expected = {"wit_keys": 0, "sequence": None, "refresh_hint": None} | case
            assert counts(bundle) == {name: expected[name] for name in counts(bundle)}, case
            assert len(bundle.x509_authorities) == 1
            assert bundle.trust_domain == DOMAIN  # Its authority says `spiffe://local`.
            assert parse_bundle(encoded_bundle(bundle), domain=DOMAIN) == bundle


@pytest.mark.requirement("SPIFFE-02")
def test_key_sets_of_go_spiffe_are_judged_and_counted_as_expected(spiffe: Path) -> None:
    cases = json.loads((spiffe / "expectations.json").read_text())["jwt_bundle"]
    assert len(cases) == 6
    for case in cases:
        text = (spiffe / case["file"]).read_bytes()
        for read in (parse_jwt_bundle, parse_wit_bundle):
            assert judgement(read, text, domain=DOMAIN) is case["valid"], case
        if case["valid"]:
            assert len(parse_jwt_bundle(text, domain=DOMAIN).jwt_authorities) == case["keys"]
            assert len(parse_wit_bundle(text, domain=DOMAIN).wit_authorities) == case["keys"]


def bundle_of_pem(file: Path) -> TrustBundle:
    """The certificates of a PEM file in a bundle document of ours. Raises Malformed."""
    certificates = blocks(file, b"CERTIFICATE")
    if file.read_bytes() and not certificates:
        raise Malformed("no certificates in it", code="test.pem")
    keys = []
    for der in certificates:
        try:
            jwk = json.loads(jwk_text(read_certificate(der).key))
        except Unverified as error:
            raise Malformed(error.message, code="test.certificate") from None
        keys.append({**jwk, "use": "x509-svid", "x5c": [b64encode(der).decode()]})
    return parse_bundle(json.dumps({"keys": keys}).encode(), domain=DOMAIN)


@pytest.mark.requirement("SPIFFE-02")
def test_certificate_bundles_of_go_spiffe_are_judged_as_expected_or_stricter(spiffe: Path) -> None:
    cases = json.loads((spiffe / "expectations.json").read_text())["x509_bundle"]
    assert len(cases) == 5
    for case in cases:
        file = spiffe / case["file"]
        expected = case["valid"] and case["file"] not in STRICTER_BUNDLES
        assert judgement(bundle_of_pem, file) is expected, case
        if expected:
            assert len(bundle_of_pem(file).x509_authorities) == case["authorities"]


# --- X.509-SVIDs ----------------------------------------------------------------------------------


def matches(chain: list[bytes], key_file: Path) -> bool:
    """Whether the file holds the private key of the leaf: what a workload asks of an SVID handed to it."""
    keys = [block for label, block in _PEM.findall(key_file.read_bytes()) if label == b"PRIVATE KEY"]
    if len(keys) != 1:
        return False
    try:
        whole = b"-----BEGIN PRIVATE KEY-----\n" + keys[0] + b"-----END PRIVATE KEY-----\n"
        public = load_pem_private_key(whole, None).public_key()
    except ValueError:
        return False
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return public.public_bytes(*spki) == read_certificate(chain[0]).key.public_bytes(*spki)


@pytest.mark.requirement("SPIFFE-03")
def test_certificates_of_go_spiffe_are_judged_as_expected(spiffe: Path) -> None:
    cases = json.loads((spiffe / "expectations.json").read_text())["x509_svid"]
    assert len(cases) == 18
    for case in cases:
        chain = blocks(spiffe / case["certificates_file"], b"CERTIFICATE")
        formed = judgement(presented_id, chain)
        accepted = formed and matches(chain, spiffe / case["key_file"])
        assert accepted is case["valid"], case
        if case["valid"]:
            assert str(presented_id(chain)) == case["spiffe_id"]
            assert len(chain) == case["certificates"]
        elif "key" not in case["reason"].removesuffix("keyCertSign"):
            assert not formed, case


@pytest.mark.requirement("SPIFFE-04")
def test_the_chain_of_go_spiffe_verifies_to_the_authority_in_its_bundle_while_it_was_valid(
    spiffe: Path,
) -> None:
    chain = blocks(spiffe / "svid/x509svid/good-leaf-and-intermediate.pem", b"CERTIFICATE")
    text = (spiffe / "bundle/spiffebundle/spiffebundle_valid_1.json").read_bytes()
    bundle = parse_bundle(text, domain=DOMAIN)
    svid = verified_x509_svid(chain, bundle_of=only(bundle), now=MARCH_2020)
    assert str(svid.id) == "spiffe://example.org/workload-1"
    hour = 3_600_000
    for now, code in ((MARCH_2020 + hour, "svid.expired"), (MARCH_2020 - hour, "svid.not_yet_valid")):
        with pytest.raises(Unverified) as caught:
            verified_x509_svid(chain, bundle_of=only(bundle), now=UnixMillis(now))
        assert caught.value.code == code
    for refused in (
        only(parse_bundle(text, domain=trust_domain("local"))),
        only(TrustBundle(trust_domain=DOMAIN)),
    ):
        with pytest.raises(Unverified) as caught:
            verified_x509_svid(chain, bundle_of=refused, now=MARCH_2020)
        assert caught.value.code == "svid.trust_domain"
    with pytest.raises(Unverified) as caught:
        verified_x509_svid(chain[:1], bundle_of=only(bundle), now=MARCH_2020)
    assert caught.value.code == "svid.path"


# --- WIT-SVID -------------------------------------------------------------------------------------


@pytest.mark.requirement("SPIFFE-06")
def test_the_wit_svid_of_the_standard_is_in_order_but_for_a_key_that_nobody_published(spiffe: Path) -> None:
    example = json.loads((spiffe / "wit-svid-example.json").read_text())
    jws = read_compact(example["jwt"], malformed=SVID_MALFORMED)
    assert (jws.header, parse(jws.payload)) == (example["header"], example["payload"])
    domain = trust_domain("example.com")
    now = UnixMillis(example["payload"]["iat"] * 1000)
    jwk = canonical_jwk(example["payload"]["cnf"]["jwk"])
    assert jwk is not None
    deputy_validity = TrustBundle(trust_domain=domain, wit_authorities={example["header"]["kid"]: jwk})
    for bundle, code in ((None, "svid.trust_domain"), (deputy_validity, "svid.signature")):
        with pytest.raises(Unverified) as caught:
            verified_wit_svid(example["jwt"], bundle_of=known(domain, bundle), now=now)
        assert caught.value.code == code


def known(domain: TrustDomain, bundle: TrustBundle | None) -> Callable[[TrustDomain], TrustBundle | None]:
    return {domain: bundle}.get


@pytest.mark.requirement("SPIFFE-02")
def test_a_refusal_is_one_of_ours_for_every_file_of_the_set_read_as_every_document(spiffe: Path) -> None:
    files = [file for file in sorted(spiffe.rglob("*")) if file.is_file()]
    assert len(files) == 38
    accepted = 0
    for file in files:
        content = file.read_bytes()
        accepted += judgement(parse_bundle, content, domain=DOMAIN)
        accepted += judgement(parse_jwt_bundle, content, domain=DOMAIN)
        accepted += judgement(presented_id, [content])
    assert accepted

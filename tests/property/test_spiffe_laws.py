"""Laws of SPIFFE documents: what is written reads back, one spelling each, and one changed byte is one too many."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from cryptography import x509
from hypothesis import assume, given
from hypothesis import strategies as st

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.names.spiffe_id import SpiffeId, TrustDomain, spiffe_id, trust_domain
from answerable.core.identity.svid.jwt_svid import verified_jwt_svid
from answerable.core.identity.svid.svid_keys import canonical_jwk, jwk_text
from answerable.core.identity.svid.trust_bundle import (
    TrustBundle,
    encoded_bundle,
    encoded_bundle_map,
    encoded_jwt_bundle,
    encoded_wit_bundle,
    parse_bundle,
    parse_bundle_map,
    parse_jwt_bundle,
    parse_wit_bundle,
)
from answerable.core.identity.svid.wit_svid import verified_wit_svid
from answerable.core.identity.svid.x509_svid import presented_id, verified_x509_svid
from answerable.errors import Malformed, Unverified
from tests.worlds.svid import (
    DOMAIN,
    NOW,
    bundle_with,
    certificate,
    ec_key,
    jwt_claims,
    jwt_header,
    only,
    our_authority,
    our_leaf,
    root,
    rsa_key,
    signed_again,
    signer,
    token,
    token_bundle,
    wit_claims,
    wit_header,
)

DOMAINS = st.from_regex(r"[a-z0-9._-]{1,40}", fullmatch=True).map(TrustDomain)
SEGMENTS = st.from_regex(r"[A-Za-z0-9._-]{1,20}", fullmatch=True).filter(lambda s: s not in (".", ".."))
PATHS = st.lists(SEGMENTS, max_size=5).map(lambda segments: "".join(f"/{s}" for s in segments))
KIDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
COUNTS = st.none() | st.integers(0, 2**53 - 1)
KEYS = ("one", "two", "three")


def refused(judge: Any) -> bool:
    """Whether it is refused; anything but a refusal of ours fails the test."""
    try:
        judge()
    except (Malformed, Unverified):
        return True
    return False


@st.composite
def bundles(draw: st.DrawFn, domain: TrustDomain = DOMAIN) -> TrustBundle:
    kids = draw(st.lists(KIDS, max_size=6, unique=True))
    jwks = [jwk_text(ec_key(draw(st.sampled_from(KEYS))).public_key()) for _ in kids]
    cut = draw(st.integers(0, len(kids)))
    keys = list(zip(kids, jwks, strict=True))
    return TrustBundle(
        trust_domain=domain,
        x509_authorities=draw(st.sampled_from([(), (root().der,), (root().der, our_authority())])),
        jwt_authorities=dict(keys[:cut]),
        wit_authorities=dict(keys[cut:]),
        sequence=draw(COUNTS),
        refresh_hint=draw(COUNTS),
    )


@pytest.mark.requirement("SPIFFE-01")
@given(domain=DOMAINS, path=PATHS)
def test_an_id_reads_back_the_same_and_has_no_other_spelling(domain: TrustDomain, path: str) -> None:
    made = SpiffeId(trust_domain=domain, path=path)
    assert spiffe_id(str(made)) == made
    assert spiffe_id(f"SPIFFE://{domain.upper()}{path}") == made
    assert (spiffe_id(f"spiffe://{domain}{path.swapcase()}") == made) is (path.swapcase() == path)


@pytest.mark.requirement("SPIFFE-01")
@given(text=st.text(max_size=60) | st.text(max_size=40).map(lambda t: f"spiffe://{t}"))
def test_what_is_read_is_its_own_spelling_but_for_case(text: str) -> None:
    try:
        read = spiffe_id(text)
    except Malformed:
        return
    assert str(read).lower() == text.lower()
    assert trust_domain(read.trust_domain) == read.trust_domain


@pytest.mark.requirement("SPIFFE-09")
@given(bundle=bundles())
def test_a_bundle_reads_back_the_same(bundle: TrustBundle) -> None:
    assert parse_bundle(encoded_bundle(bundle), domain=DOMAIN) == bundle
    jwts = parse_jwt_bundle(encoded_jwt_bundle(bundle), domain=DOMAIN)
    wits = parse_wit_bundle(encoded_wit_bundle(bundle), domain=DOMAIN)
    assert (jwts.jwt_authorities, wits.wit_authorities) == (bundle.jwt_authorities, bundle.wit_authorities)


@pytest.mark.requirement("SPIFFE-09")
@given(domains=st.lists(DOMAINS, max_size=4, unique=True), data=st.data())
def test_a_bundle_map_reads_back_the_same_but_for_refresh_hints(
    domains: list[TrustDomain], data: Any
) -> None:
    made = {domain: data.draw(bundles(domain)) for domain in domains}
    read_back = parse_bundle_map(encoded_bundle_map(made))
    assert read_back.keys() == made.keys()
    for domain, bundle in made.items():
        assert read_back[domain].trust_domain == domain
        assert encoded_jwt_bundle(read_back[domain]) == encoded_jwt_bundle(bundle)
        assert read_back[domain].refresh_hint is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**54) | st.text(max_size=8) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from("kty crv x y n e d k alg use kid x5c key_ops".split())
GOOD = {
    **json.loads(jwk_text(rsa_key().public_key())),
    **json.loads(jwk_text(root().key.public_key())),
    "use": "x509-svid",
    "kid": "a",
    "x5c": [b64encode(root().der).decode()],
}
ODD = st.sampled_from(
    ["EC", "RSA", "OKP", "P-256", "P-384", "jwt-svid", "wit-svid", "x509-svid", "AQAB", "", 7, []]
)


@pytest.mark.requirement("SPIFFE-02")
@given(changes=st.lists(st.dictionaries(NAMES, ODD | JSON, max_size=5), max_size=3), more=JSON)
def test_whatever_a_document_says_it_is_read_or_refused_and_names_no_domain(
    changes: list[dict[str, Any]], more: Any
) -> None:
    entries = [{**GOOD, **change} for change in changes]
    document = {"keys": entries, "spiffe_sequence": 1, "other": more}
    text = json.dumps(document).encode()
    try:
        bundle = parse_bundle(text, domain=DOMAIN)
    except Malformed:
        return
    assert bundle.trust_domain == DOMAIN
    assert parse_bundle(encoded_bundle(bundle), domain=DOMAIN) == bundle


@pytest.mark.requirement("SPIFFE-02")
@given(jwk=st.dictionaries(NAMES, ODD | JSON, max_size=6))
def test_a_key_in_our_form_is_its_own_form(jwk: dict[str, Any]) -> None:
    for members in (jwk, {**GOOD, **jwk}):
        try:
            text = canonical_jwk(members)
        except Malformed:
            continue
        if text is not None:
            assert canonical_jwk(json.loads(text)) == text


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.requirement("SPIFFE-09")
@given(place=st.integers(0, 10_000), bit=st.integers(0, 7), which=st.integers(0, 1))
def test_one_changed_bit_in_a_chain_makes_it_fail(place: int, bit: int, which: int) -> None:
    between = signer("between", issuer=root())
    chain = [bytearray(certificate(issuer=between)), bytearray(between.der)]
    place %= len(chain[which])
    chain[which][place] ^= 1 << bit
    trusted = only(bundle_with(root().der))
    assert refused(lambda: verified_x509_svid([bytes(c) for c in chain], bundle_of=trusted, now=NOW))


CHANGES = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=3)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.requirement("SPIFFE-03")
@given(which=st.integers(0, 1), changes=CHANGES)
def test_whatever_a_hostile_authority_signs_is_judged_and_only_judged(
    which: int, changes: list[tuple[int, int]]
) -> None:
    between = signer("between", issuer=root())
    chain = [certificate(issuer=between, subject="scout"), between.der]
    content = bytearray(x509.load_der_x509_certificate(chain[which]).tbs_certificate_bytes)
    for place, octet in changes:
        content[place % len(content)] = octet
    chain[which] = signed_again(bytes(content), ec_key(("between", "root")[which]))
    if not refused(lambda: verified_x509_svid(chain, bundle_of=only(bundle_with(root().der)), now=NOW)):
        assert presented_id(chain).path


@pytest.mark.requirement("SPIFFE-09")
@given(place=st.integers(0, 10_000), character=st.sampled_from("AQgwZ019-_.= \n"))
def test_one_changed_character_in_a_token_makes_it_fail(place: int, character: str) -> None:
    bundle = only(token_bundle())
    jwt, wit = token(jwt_header(), jwt_claims()), token(wit_header(), wit_claims())
    for text, judge in (
        (jwt, lambda t: verified_jwt_svid(t, audience="bank", bundle_of=bundle, now=NOW)),
        (wit, lambda t: verified_wit_svid(t, bundle_of=bundle, now=NOW)),
    ):
        at = place % len(text)
        assume(text[at] != character)
        changed = text[:at] + character + text[at + 1 :]
        assert refused(lambda judge=judge, changed=changed: judge(changed))
        assert refused(lambda judge=judge, text=text, at=at: judge(text[:at] + character + text[at:]))
        assert not refused(lambda judge=judge, text=text: judge(text))


@pytest.mark.requirement("SPIFFE-03")
@given(chain=st.lists(st.binary(max_size=200), max_size=5))
def test_bytes_that_are_no_certificates_are_refused(chain: list[bytes]) -> None:
    assert refused(lambda: presented_id(chain))
    if chain:
        assert refused(lambda: presented_id([our_leaf(), *chain]))


@pytest.mark.requirement("SPIFFE-05")
@given(claims=st.dictionaries(st.sampled_from("sub aud exp nbf iat iss cnf".split()), ODD | JSON, max_size=6))
def test_whatever_a_signed_token_claims_it_is_believed_or_refused(claims: dict[str, Any]) -> None:
    bundle = only(token_bundle())
    try:
        jwt = token(jwt_header(), {**jwt_claims(), **claims})
        wit = token(wit_header(), {**wit_claims(), **claims})
    except Malformed:
        return
    if not refused(lambda: verified_jwt_svid(jwt, audience="bank", bundle_of=bundle, now=NOW)):
        assert "bank" in claims.get("aud", ["bank"])
    if not refused(lambda: verified_wit_svid(wit, bundle_of=bundle, now=NOW)):
        assert "aud" not in claims


@pytest.mark.requirement("SPIFFE-09")
@given(
    path=st.lists(SEGMENTS, min_size=1, max_size=5).map(lambda segments: "".join(f"/{s}" for s in segments)),
    serial=st.integers(1, 2**159 - 1),
    begins=st.integers(NOW - 3_000_000, NOW),
    lasts=st.integers(1_000, 3_600_000),
)
def test_a_leaf_of_ours_says_what_it_was_made_of(path: str, serial: int, begins: int, lasts: int) -> None:
    name = SpiffeId(trust_domain=DOMAIN, path=path)
    ends = begins + lasts
    der = our_leaf(id=name, serial=serial, not_before=UnixMillis(begins), not_after=UnixMillis(ends))
    first, last = begins // 1000 * 1000, ends // 1000 * 1000
    svid = verified_x509_svid([der], bundle_of=only(bundle_with(our_authority())), now=UnixMillis(last))
    assert (svid.id, svid.serial, svid.not_before, svid.not_after) == (name, serial, first, last)
    assert x509.load_der_x509_certificate(der).serial_number == serial

"""The standards' own sentences as a table: each MUST and MAY that a reader of SPIFFE documents can keep or break.

A row names standard and section, what it says, whether our reader takes such a document, and the document. Rows marked
STRICTER are refused here though the standard lets them pass; why is said in the module that refuses them.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from answerable.core.identity.svid.jwt_svid import verified_jwt_svid
from answerable.core.identity.names.spiffe_id import spiffe_id
from answerable.core.identity.svid.svid_keys import jwk_text
from answerable.core.identity.svid.trust_bundle import parse_bundle, parse_bundle_map
from answerable.core.identity.svid.wit_svid import verified_wit_svid
from answerable.core.identity.svid.x509_svid import verified_x509_svid
from answerable.errors import Malformed, Unverified
from tests.worlds.svid import (
    DOMAIN,
    NOW,
    UNKNOWN,
    bundle_with,
    certificate,
    ec_key,
    jwt_claims,
    jwt_header,
    only,
    root,
    signer,
    token,
    token_bundle,
    wit_claims,
    wit_header,
)

TAKEN, REFUSED, STRICTER = "taken", "refused", "refused, stricter than the standard"
Row = tuple[str, str, str, Callable[[], object]]


def leaf(**changes: Any) -> Callable[[], object]:
    """An X.509-SVID directly below the authority."""
    return lambda: verified_x509_svid(
        [certificate(issuer=root(), **changes)], bundle_of=only(bundle_with(root().der)), now=NOW
    )


def below(**changes: Any) -> Callable[[], object]:
    """An X.509-SVID below such an intermediate."""

    def judge() -> object:
        between = signer("between", issuer=root(), **changes)
        chain = [certificate(issuer=between), between.der]
        return verified_x509_svid(chain, bundle_of=only(bundle_with(root().der)), now=NOW)

    return judge


def under(**changes: Any) -> Callable[[], object]:
    """An X.509-SVID judged by a bundle other than that of its domain."""
    return lambda: verified_x509_svid(
        [certificate(issuer=root(), **changes)], bundle_of={DOMAIN: bundle_with()}.get, now=NOW
    )


def jwt(header: dict[str, Any] | None = None, **claims: Any) -> Callable[[], object]:
    text = token({**jwt_header(), **(header or {})}, jwt_claims(**claims))
    return lambda: verified_jwt_svid(text, audience="bank", bundle_of=only(token_bundle()), now=NOW)


def jwt_without_kid() -> Callable[[], object]:
    text = token(jwt_header(kid=None), jwt_claims())
    return lambda: verified_jwt_svid(text, audience="bank", bundle_of=only(token_bundle()), now=NOW)


def wit(header: dict[str, Any] | None = None, **claims: Any) -> Callable[[], object]:
    text = token(wit_header(**(header or {})), wit_claims(**claims))
    return lambda: verified_wit_svid(text, bundle_of=only(token_bundle()), now=NOW)


def bundle(*entries: dict[str, Any], **more: Any) -> Callable[[], object]:
    text = json.dumps({"keys": entries, **more}).encode()
    return lambda: parse_bundle(text, domain=DOMAIN)


def key(**changes: Any) -> dict[str, Any]:
    jwk = json.loads(jwk_text(ec_key("tokens").public_key()))
    entry = {**jwk, "use": "jwt-svid", "kid": "a", **changes}
    return {name: value for name, value in entry.items() if value is not None}


def authority(**changes: Any) -> dict[str, Any]:
    jwk = json.loads(jwk_text(root().key.public_key()))
    return {**jwk, "use": "x509-svid", "x5c": [b64encode(root().der).decode()], **changes}


def name(text: str) -> Callable[[], object]:
    return lambda: spiffe_id(text)


SECOND = NOW // 1000
SIGN = "digital_signature"
OTHER_ID = "spiffe://example.org/agent/boss/1"
CONFIRMED: dict[str, Any] = wit_claims()["cnf"]["jwk"]
TWICE = b'{"trust_domains":{"a.example":{"keys":[]},"a.example":{"keys":[]}}}'

ROWS: tuple[Row, ...] = (
    ("SPIFFE-ID 2.1", "a trust domain name holds a-z 0-9 . - _", TAKEN, name("spiffe://a-b_c.9/p")),
    ("SPIFFE-ID 2.1", "percent-encoding is not in a trust domain name", REFUSED, name("spiffe://a%2eb/p")),
    ("SPIFFE-ID 2.1", "a port is not in the authority", REFUSED, name("spiffe://example.org:443/p")),
    ("SPIFFE-ID 2.1", "user info is not in the authority", REFUSED, name("spiffe://u@example.org/p")),
    ("SPIFFE-ID 2.2", "a path has no dot segments", REFUSED, name("spiffe://example.org/a/../b")),
    ("SPIFFE-ID 2.2", "a path has no empty segments", REFUSED, name("spiffe://example.org/a//b")),
    ("SPIFFE-ID 2.2", "a path has no slash at its end", REFUSED, name("spiffe://example.org/a/")),
    ("SPIFFE-ID 2.2", "percent-encoding is not in a path", REFUSED, name("spiffe://example.org/a%20b")),
    ("SPIFFE-ID 2.3", "an ID of 2048 bytes is supported", TAKEN, name("spiffe://a/" + "p" * 2037)),
    ("SPIFFE-ID 2.4", "the scheme is case-insensitive", TAKEN, name("SPIFFE://example.org/p")),
    ("SPIFFE-ID 2.4", "the trust domain is case-insensitive", TAKEN, name("spiffe://Example.ORG/p")),
    (
        "X509-SVID 2",
        "there is exactly one URI name",
        REFUSED,
        leaf(uris=("spiffe://example.org/a", OTHER_ID)),
    ),
    ("X509-SVID 2", "there is a URI name", REFUSED, leaf(uris=())),
    ("X509-SVID 3.1", "a leaf's ID has a path", REFUSED, leaf(uris=("spiffe://example.org",))),
    ("X509-SVID 3.1", "without subject the URI name is critical", REFUSED, leaf(san_critical=False)),
    ("X509-SVID 3.1", "with a subject it need not be", TAKEN, leaf(san_critical=False, subject="scout")),
    ("X509-SVID 3.2", "a signing certificate may have no SPIFFE ID", TAKEN, below(uris=())),
    ("X509-SVID 3.2", "a signing certificate's ID has no path", REFUSED, below(uris=(OTHER_ID,))),
    (
        "X509-SVID 3.2",
        "it should be of the leaf's trust domain",
        STRICTER,
        below(uris=("spiffe://example.net",)),
    ),
    ("X509-SVID 3.2", "a signing certificate does not authenticate", REFUSED, leaf(authority=True)),
    ("X509-SVID 4.1", "cA is true in a signing certificate", REFUSED, below(authority=False)),
    ("X509-SVID 4.1", "a signing certificate may limit the path", TAKEN, below(path_length=0)),
    ("X509-SVID 4.3", "key usage is set on a leaf", REFUSED, leaf(flags=None)),
    ("X509-SVID 4.3", "key usage is critical", REFUSED, leaf(usage_critical=False)),
    ("X509-SVID 4.3", "a leaf has digitalSignature", REFUSED, leaf(flags=("key_agreement",))),
    ("X509-SVID 4.3", "a leaf may have keyEncipherment", TAKEN, leaf(flags=(SIGN, "key_encipherment"))),
    ("X509-SVID 4.3", "a leaf has no keyCertSign", REFUSED, leaf(flags=(SIGN, "key_cert_sign"))),
    ("X509-SVID 4.3", "a leaf has no cRLSign", REFUSED, leaf(flags=(SIGN, "crl_sign"))),
    ("X509-SVID 4.3", "a signing certificate has keyCertSign", REFUSED, below(flags=("crl_sign",))),
    (
        "X509-SVID 4.3",
        "a signing certificate may have cRLSign",
        TAKEN,
        below(flags=("key_cert_sign", "crl_sign")),
    ),
    ("X509-SVID 4.4", "extended key usage may be absent", TAKEN, leaf(purposes=())),
    (
        "X509-SVID 4.4",
        "when there it names both TLS purposes",
        REFUSED,
        leaf(purposes=(ExtendedKeyUsageOID.SERVER_AUTH,)),
    ),
    (
        "X509-SVID 5.1",
        "unknown critical extensions end the path (RFC 5280)",
        REFUSED,
        leaf(more=((UNKNOWN, True),)),
    ),
    (
        "X509-SVID 5.1",
        "unknown extensions that are not critical do not",
        TAKEN,
        leaf(more=((UNKNOWN, False),)),
    ),
    ("X509-SVID 5.1", "an expired leaf ends it (RFC 5280)", REFUSED, leaf(ends=NOW - 1000)),
    ("X509-SVID 5.1", "so does an expired intermediate", REFUSED, below(ends=NOW - 1000)),
    (
        "X509-SVID 4.2",
        "URI name constraints may be refused as unsupported",
        REFUSED,
        below(more=((x509.NameConstraints([x509.UniformResourceIdentifier("example.org")], None), True),)),
    ),
    ("X509-SVID 5.2", "the scheme is spiffe", REFUSED, leaf(uris=("https://example.org/agent",))),
    ("X509-SVID 6.1", "kid is not set", STRICTER, bundle(authority(kid="a"))),
    ("X509-SVID 6.2", "without x5c the entry is ignored", TAKEN, bundle({**authority(), "x5c": []})),
    (
        "X509-SVID 6.2",
        "of several certificates the first counts",
        STRICTER,
        bundle(authority(x5c=["AAAA", "AAAA"])),
    ),
    ("JWT-SVID 2.1", "alg is one of nine and fits the key", TAKEN, jwt()),
    ("JWT-SVID 2.2", "kid is optional", STRICTER, jwt_without_kid()),
    ("JWT-SVID 2.3", "typ may be JOSE", TAKEN, jwt({"typ": "JOSE"})),
    ("JWT-SVID 2.3", "typ is nothing else", REFUSED, jwt({"typ": "at+jwt"})),
    ("JWT-SVID 2", "no other header", REFUSED, jwt({"cty": "JWT"})),
    ("JWT-SVID 3.1", "sub is a SPIFFE ID", REFUSED, jwt(sub="scout")),
    ("JWT-SVID 3.2", "aud is there", REFUSED, jwt(aud=None)),
    ("JWT-SVID 3.2", "aud names the reader", REFUSED, jwt(aud=["shop"])),
    ("JWT-SVID 3.2", "aud may have several values", TAKEN, jwt(aud=["shop", "bank"])),
    ("JWT-SVID 3.3", "exp is there", REFUSED, jwt(exp=None)),
    ("JWT-SVID 3.3", "exp has not passed", REFUSED, jwt(exp=SECOND)),
    ("JWT-SVID 3", "other claims may be there", TAKEN, jwt(tenant="a", jti="b")),
    ("JWT-SVID 6.1", "kid is set in a bundle", REFUSED, bundle(key(kid=None))),
    ("WIT-SVID 2.1", "kid is there", REFUSED, wit({"kid": None})),
    ("WIT-SVID 2.2", "typ is wit+jwt", REFUSED, wit({"typ": "JWT"})),
    ("WIT-SVID 2", "unknown headers should be ignored", STRICTER, wit({"cty": "JWT"})),
    ("WIT-SVID 3.1", "sub is a SPIFFE ID", REFUSED, wit(sub="wimse://example.org/a")),
    ("WIT-SVID 3.2", "cnf is there", REFUSED, wit(cnf=None)),
    (
        "WIT-SVID 3.2",
        "cnf.jwk.alg is there",
        REFUSED,
        wit(cnf={"jwk": {name: v for name, v in CONFIRMED.items() if name != "alg"}}),
    ),
    ("WIT-SVID 3.3", "jti may be there", TAKEN, wit(jti="a")),
    ("WIT-SVID 3.4", "exp is there", REFUSED, wit(exp=None)),
    ("WIT-SVID 3.4", "exp has not passed", REFUSED, wit(exp=SECOND)),
    ("WIT-SVID 3.5", "nbf is not in the future", REFUSED, wit(nbf=SECOND + 60)),
    ("WIT-SVID 3.6", "iat does not limit", TAKEN, wit(iat=SECOND + 60)),
    ("WIT-SVID 3.7", "iss may be there", TAKEN, wit(iss="spiffe://example.org")),
    ("WIT-SVID 3.7", "iss should not fit OpenID discovery", STRICTER, wit(iss="https://issuer.example")),
    ("WIT-SVID 3.8", "aud is not there", REFUSED, wit(aud="bank")),
    ("WIT-SVID 3.8", "other claims are ignored", TAKEN, wit(tenant="a")),
    ("WIT-SVID 6.1", "a kid is unique in the bundle", REFUSED, bundle(key(), key(use="wit-svid"))),
    ("Bundle 4.1", "unknown members may be there", TAKEN, bundle(other=1)),
    ("Bundle 4.1.1", "the sequence is an integer", REFUSED, bundle(spiffe_sequence="1")),
    ("Bundle 4.1.2", "the refresh hint is an integer", REFUSED, bundle(spiffe_refresh_hint=1.5)),
    ("Bundle 4.1.3", "keys is there", REFUSED, lambda: parse_bundle(b"{}", domain=DOMAIN)),
    ("Bundle 4.1.3", "keys may be empty", TAKEN, bundle()),
    ("Bundle 4.1.3", "then SVIDs of the domain are untrusted", REFUSED, under()),
    ("Bundle 4.2.1", "an unknown kty is ignored", TAKEN, bundle(key(kty="AKP"))),
    ("Bundle 4.2.2", "a missing use is ignored", TAKEN, bundle(key(use=None))),
    ("Bundle 4.2.2", "an unknown use is ignored", TAKEN, bundle(key(use="ssh-svid"))),
    ("Bundle 5.1.1", "a domain is in a map once", REFUSED, lambda: parse_bundle_map(TWICE)),
    ("Bundle 5.1.1", "a map may be empty", TAKEN, lambda: parse_bundle_map(b'{"trust_domains":{}}')),
    ("Bundle 5.1.1", "trust_domains is there", REFUSED, lambda: parse_bundle_map(b"{}")),
)


@pytest.mark.requirement("SPIFFE-01", "SPIFFE-02", "SPIFFE-03", "SPIFFE-05", "SPIFFE-06")
@pytest.mark.parametrize(
    ("section", "says", "outcome", "judge"), [pytest.param(*r, id=f"{r[0]}: {r[1]}") for r in ROWS]
)
def test_each_sentence_of_the_standards_is_kept(
    section: str, says: str, outcome: str, judge: Callable[[], object]
) -> None:
    try:
        judge()
    except (Malformed, Unverified):
        taken = False
    else:
        taken = True
    assert taken is (outcome == TAKEN), f"{section}: {says}"


@pytest.mark.requirement("SPIFFE-02")
def test_an_ignored_entry_of_a_bundle_leaves_no_key_behind() -> None:
    for entry in (key(kty="AKP"), key(use=None), key(use="ssh-svid"), {**authority(), "x5c": []}):
        read = parse_bundle(json.dumps({"keys": [entry]}).encode(), domain=DOMAIN)
        assert read.is_empty

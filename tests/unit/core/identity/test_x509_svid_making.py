"""The certificates that we make are exactly what X509-SVID asks for, and nothing that nobody could verify is made."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.names.spiffe_id import spiffe_id
from answerable.core.identity.svid.certificate_rules import read_certificate
from answerable.core.identity.svid.x509_svid import X509Svid, authority_certificate, verified_x509_svid
from answerable.errors import Malformed, Unverified
from tests.worlds.svid import (
    AGENT,
    DOMAIN,
    HOUR,
    NOW,
    bundle_with,
    certificate,
    ec_key,
    only,
    our_authority,
    our_leaf,
    our_signer,
    rsa_key,
    signer,
)


def judged(*chain: bytes) -> X509Svid:
    return verified_x509_svid(chain, bundle_of=only(bundle_with(our_authority())), now=NOW)


def test_our_leaf_is_exactly_what_the_standard_asks_for() -> None:
    der = our_leaf()
    svid = judged(der)
    assert (svid.id, svid.serial, svid.chain) == (AGENT, 99, ())
    assert (svid.not_before, svid.not_after) == (NOW - 30_000, NOW + HOUR)
    made = x509.load_der_x509_certificate(der)
    extensions = {one.oid._name: one.critical for one in made.extensions}
    assert extensions == {
        "basicConstraints": True,
        "keyUsage": True,
        "extendedKeyUsage": False,
        "subjectAltName": True,
        "authorityKeyIdentifier": False,
    }
    assert not made.subject.rdns


def test_our_authority_is_self_signed_signs_leaves_only_and_has_a_name_of_its_own() -> None:
    made = read_certificate(our_authority())
    made.certificate.verify_directly_issued_by(made.certificate)
    assert made.uris == ("spiffe://example.org",)
    constraints = made.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    assert made.usage.key_cert_sign
    assert not made.usage.digital_signature
    (number,) = made.certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
    assert number.value == "c0ffee"
    direct = certificate(issuer=our_signer())
    assert judged(direct).id == AGENT
    between = signer("between", issuer=our_signer())
    with pytest.raises(Unverified, match="path length") as caught:
        judged(certificate(issuer=between), between.der)
    assert caught.value.code == "svid.path"


def test_times_are_cut_to_seconds() -> None:
    der = our_leaf(not_before=UnixMillis(NOW - 29_001), not_after=UnixMillis(NOW + 999))
    svid = judged(der)
    assert (svid.not_before, svid.not_after) == (NOW - 30_000, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": spiffe_id("spiffe://example.org")},
        {"id": spiffe_id("spiffe://example.net/agent")},
        {"public_key": ec_key("coin", ec.SECP256K1).public_key()},
        {"public_key": rsa_key(1024).public_key()},
        {"not_after": UnixMillis(NOW + 25 * HOUR)},
        {"not_after": UnixMillis(NOW - 30_000)},
        {"not_before": UnixMillis(0)},
        {"serial": 0},
        {"serial": 1 << 159},
        {"issuer": x509.load_der_x509_certificate(signer("nameless", uris=()).der)},
    ],
)
def test_a_leaf_that_nobody_could_verify_is_not_issued(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as caught:
        our_leaf(**changes)
    assert caught.value.code == "svid.issue"


def test_a_certificate_that_may_not_sign_issues_nothing() -> None:
    with pytest.raises(Unverified):
        our_leaf(issuer=x509.load_der_x509_certificate(our_leaf()))


def test_an_authority_whose_end_comes_before_its_begin_is_not_made() -> None:
    for begins, ends in ((NOW, NOW), (NOW, NOW + 999), (NOW, 253_402_300_800_000)):
        with pytest.raises(Malformed) as caught:
            authority_certificate(
                domain=DOMAIN,
                key=ec_key("ours"),
                serial=1,
                not_before=UnixMillis(begins),
                not_after=UnixMillis(ends),
            )
        assert caught.value.code == "svid.issue"


def test_a_leaf_may_hold_an_rsa_key() -> None:
    assert judged(our_leaf(public_key=rsa_key().public_key())).id == AGENT

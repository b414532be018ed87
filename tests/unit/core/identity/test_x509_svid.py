"""A chain speaks for a workload only if all that X509-SVID asks of it holds, under its own domain's bundle alone."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.svid.certificate_rules import CERTIFICATE_BYTES_MAX
from answerable.core.identity.svid.x509_svid import (
    X509Svid,
    presented_id,
    verified_x509_svid,
)
from answerable.errors import Unverified
from tests.worlds.svid import (
    AGENT,
    DOMAIN,
    HOUR,
    NOW,
    OTHER_DOMAIN,
    UNKNOWN,
    Signer,
    bundle_with,
    certificate,
    ec_key,
    only,
    our_authority,
    our_leaf,
    root,
    rsa_key,
    signer,
)


def judged(*chain: bytes, authorities: tuple[bytes, ...] | None = None, now: int = NOW) -> X509Svid:
    trusted = (root().der,) if authorities is None else authorities
    return verified_x509_svid(chain, bundle_of=only(bundle_with(*trusted)), now=UnixMillis(now))


def refusal(*chain: bytes, **more: Any) -> str:
    with pytest.raises(Unverified) as caught:
        judged(*chain, **more)
    assert caught.value.step == "svid"
    return caught.value.code.removeprefix("svid.")


def leaf(**changes: Any) -> bytes:
    return certificate(issuer=changes.pop("issuer", None) or root(), **changes)


def intermediate(subject: str = "between", **changes: Any) -> Signer:
    return signer(subject, issuer=changes.pop("issuer", None) or root(), **changes)


def test_a_good_chain_gives_the_workload_and_its_key() -> None:
    between = intermediate()
    der = leaf(issuer=between)
    svid = judged(der, between.der)
    assert svid == X509Svid(
        id=AGENT,
        leaf=der,
        chain=(between.der,),
        serial=7,
        not_before=UnixMillis(NOW - HOUR),
        not_after=UnixMillis(NOW + HOUR),
        public_key=ec_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    )
    assert judged(leaf()).chain == ()
    assert presented_id([der]) == AGENT


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"uris": ()}, "uri_san"),
        ({"uris": (str(AGENT), "spiffe://example.org/agent/scout/2")}, "uri_san"),
        ({"uris": (str(AGENT), "https://example.org")}, "uri_san"),
        ({"uris": (str(AGENT), str(AGENT))}, "uri_san"),
        ({"uris": ("https://example.org/agent",)}, "id"),
        ({"uris": ("spiffe://example.org",)}, "id"),
        ({"uris": ("spiffe://example.org/",)}, "id"),
        ({"uris": ("spiffe://example.org/a/../b",)}, "id"),
        ({"san_critical": False}, "san"),
        ({"authority": True}, "authority"),
        ({"flags": None}, "key_usage"),
        ({"usage_critical": False}, "key_usage"),
        ({"flags": ("key_encipherment",)}, "key_usage"),
        ({"flags": ("digital_signature", "key_cert_sign")}, "key_usage"),
        ({"flags": ("digital_signature", "crl_sign")}, "key_usage"),
        ({"purposes": (ExtendedKeyUsageOID.SERVER_AUTH,)}, "purpose"),
        ({"purposes": (ExtendedKeyUsageOID.CLIENT_AUTH,)}, "purpose"),
        ({"purposes": (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)}, "purpose"),
        ({"key": rsa_key(1024)}, "key"),
        ({"key": ec_key("small", ec.SECP224R1)}, "key"),
        ({"key": ec_key("coin", ec.SECP256K1)}, "key"),
        ({"key": ed25519.Ed25519PrivateKey.generate()}, "key"),
        ({"begins": NOW + 1000}, "not_yet_valid"),
        ({"ends": NOW - 1000}, "expired"),
        ({"more": ((UNKNOWN, True),)}, "path"),
        ({"more": ((x509.PolicyConstraints(0, None), True),)}, "path"),
        ({"more": ((x509.InhibitAnyPolicy(0), True),)}, "path"),
        ({"digest": hashes.SHA224()}, "path"),
        ({"issuer": Signer("root", ec_key("impostor"))}, "path"),
        ({"issuer": Signer("stranger", ec_key("root"))}, "path"),
        ({"issuer": Signer("", ec_key("root"))}, "path"),
    ],
)
def test_a_leaf_with_one_fault_is_refused(changes: dict[str, Any], code: str) -> None:
    assert refusal(leaf(**changes)) == code


@pytest.mark.parametrize(
    "changes",
    [
        {"purposes": ()},
        {"flags": ("digital_signature", "key_encipherment", "key_agreement")},
        {"authority": None},
        {"subject": "scout", "san_critical": False},
        {"more": ((UNKNOWN, False),)},
        {"key": rsa_key()},
        {"key": ec_key("wide", ec.SECP384R1)},
        {"key": ec_key("widest", ec.SECP521R1)},
        {"digest": hashes.SHA512()},
        {"uris": ("SPIFFE://Example.Org/agent/scout/1",)},
        {"more": ((x509.AuthorityKeyIdentifier(b"0" * 20, None, None), False),)},
        {"begins": NOW, "ends": NOW + 1000},
        {"begins": NOW - 1000, "ends": NOW},
    ],
)
def test_what_the_standard_leaves_open_is_accepted(changes: dict[str, Any]) -> None:
    assert judged(leaf(**changes)).id == AGENT


def test_other_names_beside_the_one_uri_do_not_matter() -> None:
    names = x509.SubjectAlternativeName(
        [x509.UniformResourceIdentifier(str(AGENT)), x509.DNSName("scout.example.org")]
    )
    assert judged(leaf(uris=(), more=((names, True),))).id == AGENT


def test_critical_purposes_are_accepted() -> None:
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    assert judged(leaf(purposes=(), more=((purposes, True),))).id == AGENT


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"authority": False}, "signer"),
        ({"authority": None}, "signer"),
        ({"flags": ("digital_signature",)}, "signer"),
        ({"flags": ("crl_sign",)}, "signer"),
        ({"flags": None}, "key_usage"),
        ({"uris": ("spiffe://example.org/agent",)}, "id"),
        ({"uris": ("https://example.org",)}, "id"),
        ({"uris": ("spiffe://example.org", "spiffe://example.net")}, "uri_san"),
        ({"uris": ("spiffe://example.net",)}, "other_domain"),
        ({"ends": NOW - 1000}, "path"),
        ({"begins": NOW + 1000}, "path"),
        ({"more": ((UNKNOWN, True),)}, "path"),
        (
            {"more": ((x509.NameConstraints([x509.UniformResourceIdentifier("example.net")], None), True),)},
            "path",
        ),
        ({"key": rsa_key(1024)}, "key"),
    ],
)
def test_an_intermediate_with_one_fault_is_refused(changes: dict[str, Any], code: str) -> None:
    between = intermediate(**changes)
    assert refusal(leaf(issuer=between), between.der) == code


@pytest.mark.requirement("SPIFFE-04")
def test_a_bad_intermediate_is_refused_also_where_no_path_needs_it() -> None:
    assert refusal(leaf(), intermediate(uris=("spiffe://example.net",)).der) == "other_domain"
    assert refusal(leaf(), intermediate(authority=False).der) == "signer"
    assert refusal(leaf(), leaf()) == "signer"
    assert judged(leaf(), intermediate().der).id == AGENT


def test_an_intermediate_without_a_spiffe_id_may_be_on_the_path() -> None:
    between = intermediate(uris=())
    assert judged(leaf(issuer=between), between.der).id == AGENT


def test_a_workload_cannot_sign_for_another() -> None:
    scout = certificate(issuer=root(), subject="scout", key=ec_key("scout"))
    forged = leaf(issuer=Signer("scout", ec_key("scout")), uris=("spiffe://example.org/agent/boss/1",))
    assert refusal(forged, scout) == "signer"
    assert refusal(forged, authorities=(root().der,)) == "path"


@pytest.mark.requirement("SPIFFE-04")
def test_the_bundle_is_that_of_the_leafs_own_domain_however_good_the_path_elsewhere() -> None:
    theirs = signer("theirs", uris=("spiffe://example.net",))
    ours, others = bundle_with(root().der), bundle_with(theirs.der, domain=OTHER_DOMAIN)
    known = {DOMAIN: ours, OTHER_DOMAIN: others}
    forged = leaf(issuer=theirs)
    with pytest.raises(Unverified) as caught:
        verified_x509_svid([forged], bundle_of=known.get, now=NOW)
    assert caught.value.code == "svid.path"
    own = leaf(issuer=theirs, uris=("spiffe://example.net/agent",))
    assert verified_x509_svid([own], bundle_of=known.get, now=NOW).id.trust_domain == OTHER_DOMAIN


@pytest.mark.requirement("SPIFFE-04")
def test_an_authority_of_another_domain_cannot_be_brought_along_as_an_intermediate() -> None:
    theirs = signer("theirs", uris=("spiffe://example.net",))
    assert refusal(leaf(issuer=theirs), theirs.der) == "other_domain"
    nameless = signer("theirs", uris=())
    assert refusal(leaf(issuer=nameless), nameless.der) == "path"


def test_without_bundle_or_authority_or_with_the_bundle_of_another_nothing_is_believed() -> None:
    for bundle in (None, bundle_with(), bundle_with(root().der, domain=OTHER_DOMAIN)):
        with pytest.raises(Unverified) as caught:
            verified_x509_svid([leaf()], bundle_of=lambda _: bundle, now=NOW)  # noqa: B023 - called at once
        assert caught.value.code == "svid.trust_domain"


def test_an_authority_is_no_identity_and_a_leaf_no_authority() -> None:
    assert refusal(root().der) == "id"
    with_path = signer("root", key=root().key, uris=(str(AGENT),))
    assert refusal(with_path.der) == "authority"
    own = certificate(issuer=Signer("", ec_key()))
    assert refusal(own, authorities=(root().der, own)) == "signer"


def test_an_expired_authority_proves_nothing() -> None:
    old = signer("root", key=root().key, begins=NOW - 2 * HOUR, ends=NOW - HOUR)
    assert refusal(leaf(), authorities=(old.der,)) == "path"
    assert judged(leaf(), authorities=(old.der, root().der)).id == AGENT


def test_validity_of_the_whole_path_ends_with_the_millisecond() -> None:
    ending = signer("root", key=root().key, ends=NOW)
    assert judged(leaf(), authorities=(ending.der,), now=NOW).id == AGENT
    assert refusal(leaf(), authorities=(ending.der,), now=NOW + 1) == "expired"
    assert refusal(leaf(ends=NOW), now=NOW + 1) == "expired"
    assert refusal(leaf(begins=NOW), now=NOW - 1) == "not_yet_valid"


def test_an_authority_that_may_sign_no_intermediate_signs_none() -> None:
    narrow = signer("root", key=root().key, path_length=0)
    between = intermediate()
    assert refusal(leaf(issuer=between), between.der, authorities=(narrow.der,)) == "path"
    assert judged(leaf(), authorities=(narrow.der,)).id == AGENT


def test_a_chain_has_at_most_four_certificates_which_are_enough_for_three_intermediates() -> None:
    first = intermediate("i-1")
    second = intermediate("i-2", issuer=first)
    third = intermediate("i-3", issuer=second)
    fourth = intermediate("i-4", issuer=third)
    chain = [leaf(issuer=third), third.der, second.der, first.der]
    assert judged(*chain).id == AGENT
    assert judged(chain[0], *reversed(chain[1:])).id == AGENT
    assert refusal(leaf(issuer=fourth), fourth.der, third.der, second.der, first.der) == "chain"
    assert refusal() == "chain"
    assert refusal(leaf(issuer=fourth), fourth.der, third.der, second.der) == "path"


def test_signers_that_sign_one_another_end_the_search() -> None:
    first, second = Signer("ring-1", ec_key("ring-1")), Signer("ring-2", ec_key("ring-2"))
    one = signer("ring-1", issuer=second, key=first.key)
    two = signer("ring-2", issuer=first, key=second.key)
    assert refusal(leaf(issuer=one), one.der, two.der) == "path"


def test_an_intermediate_key_in_the_bundle_ends_the_path_there() -> None:
    between = intermediate()
    assert judged(leaf(issuer=between), authorities=(between.der,)).id == AGENT


def test_authorities_of_rsa_and_wider_curves_sign() -> None:
    for key in (rsa_key(), ec_key("wide", ec.SECP384R1), ec_key("widest", ec.SECP521R1)):
        other = signer("other", key=key)
        assert judged(leaf(issuer=other), authorities=(other.der,)).id == AGENT


def test_what_is_no_certificate_is_refused() -> None:
    good = leaf()
    for der in (b"", b"0", good + b"\x00", good[:-1], b"\x30" * 100, b"0" * (CERTIFICATE_BYTES_MAX + 1)):
        assert refusal(der) == "certificate"
        assert refusal(good, der) == "certificate"


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_odd_serial_numbers_versions_extensions_and_names_are_refused() -> None:
    good = leaf(serial=0x7F01)
    number = b"\x02\x02\x7f\x01"
    assert number in good
    assert refusal(good.replace(number, b"\x02\x02\xff\x01", 1)) == "certificate"
    assert refusal(good.replace(number, b"\x02\x02\x00\x00", 1)) == "certificate"
    version = b"\xa0\x03\x02\x01\x02"
    assert refusal(good.replace(version, b"\xa0\x03\x02\x01\x07", 1)) == "certificate"
    # The extended key usage turned into a second basic constraints, and the URI into x400Address.
    assert refusal(good.replace(b"\x06\x03\x55\x1d\x25", b"\x06\x03\x55\x1d\x13", 1)) == "certificate"
    name = bytes([0x86, len(str(AGENT))]) + str(AGENT).encode()
    assert refusal(good.replace(name, b"\xa3" + name[1:], 1)) == "certificate"
    curve = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"
    unreadable_key = good.replace(curve, curve[:-1] + b"\x7f")
    assert refusal(unreadable_key) == "certificate"


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_a_flipped_bit_anywhere_is_refused() -> None:
    good = our_leaf()
    for place in range(len(good)):
        for bit in (0, 1, 7):
            broken = bytearray(good)
            broken[place] ^= 1 << bit
            with pytest.raises(Unverified):
                judged(bytes(broken), authorities=(our_authority(),))


def test_a_signature_with_unused_bits_is_refused_as_they_are_not_signed() -> None:
    good = next(der for der in iter(our_leaf, None) if not der[-1] & 1)
    signature = x509.load_der_x509_certificate(good).signature
    at = len(good) - len(signature) - 1
    assert good[at] == 0
    assert judged(good, authorities=(our_authority(),)).id == AGENT
    assert refusal(good[:at] + b"\x01" + signature, authorities=(our_authority(),)) == "certificate"


def test_a_bundle_made_by_hand_with_a_leaf_for_an_authority_proves_nothing() -> None:
    assert refusal(leaf(), authorities=(root().der, leaf())) == "signer"


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_whatever_byte_of_leaf_or_intermediate_is_changed_to_whatever_nothing_but_a_refusal_comes_out() -> (
    None
):
    between = intermediate()
    chain = [leaf(issuer=between, subject="scout"), between.der]
    for which, good in enumerate(chain):
        for place in range(len(good)):
            for change in (0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF, good[place]):
                broken = bytearray(good)
                broken[place] ^= change
                with contextlib.suppress(Unverified):
                    presented_id([*chain[:which], bytes(broken), *chain[which + 1 :]])


def test_a_subject_that_cannot_be_read_is_refused_like_all_that_cannot() -> None:
    good = certificate(issuer=root(), subject="scout", san_critical=False)
    text = b"\x0c\x05scout"
    assert good.count(text) == 1
    for tag in (b"\x4c", b"\x03", b"\x02", b"\x30"):
        assert refusal(good.replace(text, tag + text[1:])) == "certificate"
    between = intermediate()
    assert (
        refusal(leaf(issuer=between), between.der.replace(b"\x0c\x07between", b"\x4c\x07between"))
        == "certificate"
    )

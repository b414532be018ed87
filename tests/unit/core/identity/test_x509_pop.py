"""Certificates: a chain to a configured authority, and a signature by the leaf's key."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from answerable.core.identity.workload.x509_pop import AUTHORITIES_MAX, authorities_in, verified_x509_pop
from answerable.errors import AnswerableError, Malformed
from answerable.testing.clock import START
from tests.worlds.attestation import (
    CLIENT_AUTH,
    SERVER_AUTH,
    Authority,
    curve_key,
    edwards_key,
    possession,
    rsa_key,
)

MESSAGE = b"answerable-enrol\nchallenge\nkey\n"
ROOT = Authority("root")
MIDDLE = Authority("middle", under=ROOT)
KEY = curve_key("leaf")


def verified(*chain: bytes, key=KEY, signature=None, message=MESSAGE, roots=(ROOT,), now=START):
    return verified_x509_pop(
        chain,
        signature=possession(key, MESSAGE) if signature is None else signature,
        message=message,
        authorities=authorities_in(b"".join(one.pem for one in roots)) if roots else (),
        now=now,
    )


def code_of(*chain: bytes, **given) -> str:
    with pytest.raises(AnswerableError) as told:
        verified(*chain, **given)
    return told.value.code


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        curve_key("p384", ec.SECP384R1),
        curve_key("p521", ec.SECP521R1),
        rsa_key("leaf"),
        edwards_key("leaf"),
    ],
)
def test_the_owner_of_a_certificate_is_believed(key):
    uris = ("urn:host:1", "spiffe://other.test/host")
    found = verified(ROOT.leaf(key, uris=uris, extended=[CLIENT_AUTH]), key=key)
    assert found == (
        f"x509_pop:ca_sha256:{ROOT.sha256}",
        "x509_pop:cn:host-1",
        "x509_pop:san_uri:spiffe://other.test/host",
        "x509_pop:san_uri:urn:host:1",
        "x509_pop:serial:4711",
    )


def test_a_chain_over_an_intermediate_leads_to_its_root():
    assert f"x509_pop:ca_sha256:{ROOT.sha256}" in verified(MIDDLE.leaf(KEY), MIDDLE.der)
    assert code_of(MIDDLE.leaf(KEY)) == "x509_pop.chain"


def test_a_certificate_without_usages_is_believed():
    assert "x509_pop:cn:host-1" in verified(ROOT.leaf(KEY, usage=False))


@pytest.mark.parametrize(
    "terms",
    [
        {"authority": True},
        {"digital": False},
        {"extended": [SERVER_AUTH]},
        {"days": (-30, -1)},
        {"days": (1, 2)},
        {"more": x509.InhibitAnyPolicy(0)},
    ],
)
def test_a_certificate_that_is_not_for_this_is_refused(terms):
    assert code_of(ROOT.leaf(KEY, **terms)) == "x509_pop.chain"


def test_only_configured_authorities_count():
    other = Authority("root-of-others")
    assert code_of(other.leaf(KEY)) == "x509_pop.chain"
    assert code_of(other.leaf(KEY), other.der) == "x509_pop.chain"
    assert code_of(ROOT.leaf(KEY), roots=()) == "x509_pop.chain"


def test_a_path_longer_than_the_authority_allows_is_refused():
    short = Authority("short", path_length=0)
    below = Authority("below", under=short)
    assert code_of(below.leaf(KEY), below.der, roots=(short,)) == "x509_pop.chain"


def test_a_leaf_cannot_issue():
    leaf_key = curve_key("leaf")
    fake = Authority("fake")
    fake.key = leaf_key
    fake.name = x509.load_der_x509_certificate(ROOT.leaf(KEY)).subject
    assert code_of(fake.leaf(curve_key("x")), ROOT.leaf(KEY), key=curve_key("x")) == "x509_pop.chain"


@pytest.mark.parametrize("key", [KEY, rsa_key("leaf"), edwards_key("leaf")])
def test_another_key_or_message_does_not_fit(key):
    leaf = ROOT.leaf(key)
    assert code_of(leaf, key=curve_key("thief")) == "x509_pop.signature"
    assert code_of(leaf, key=key, message=MESSAGE + b"x") == "x509_pop.signature"
    assert code_of(leaf, signature=b"") == "x509_pop.signature"
    assert code_of(leaf, signature=bytes(2000)) == "x509_pop.signature"


def test_keys_of_other_kinds_prove_nothing():
    odd = curve_key("k1", ec.SECP256K1)
    assert code_of(ROOT.leaf(odd), key=odd) == "x509_pop.signature"
    small = rsa_key("small", 1024)
    assert code_of(ROOT.leaf(small), key=small) == "x509_pop.signature"


def test_a_certificate_of_no_known_version_is_malformed_and_no_crash():
    leaf = ROOT.leaf(KEY)
    assert code_of(leaf.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x0a", 1)) == "x509_pop.malformed"


@pytest.mark.parametrize("chain", [(), (b"x",), (b"x" * 20_000,), (ROOT.der,) * 9])
def test_what_is_no_chain_is_malformed(chain):
    assert code_of(*chain) == "x509_pop.malformed"


def test_a_certificate_with_several_names_or_none_has_no_name_selector():
    found = verified(ROOT.leaf(KEY, name="x" * 64))
    assert "x509_pop:cn:" + "x" * 64 in found
    many = Authority("many")
    many_named = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.COMMON_NAME, "a"),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, "b"),
        ]
    )
    from cryptography.hazmat.primitives.serialization import Encoding

    leaf = many._built(KEY, many_named, many).public_bytes(Encoding.DER)
    assert not [one for one in verified(leaf, roots=(many,)) if one.startswith("x509_pop:cn:")]


@pytest.mark.parametrize("pem", [b"", b"junk", ROOT.pem[:200]])
def test_configured_authorities_must_be_readable(pem):
    with pytest.raises(Malformed) as told:
        authorities_in(pem)
    assert told.value.code == "x509_pop.authorities"


def test_configured_authorities_must_be_authorities():
    from cryptography.hazmat.primitives.serialization import Encoding

    leaf = x509.load_der_x509_certificate(ROOT.leaf(KEY)).public_bytes(Encoding.PEM)
    for pem in (leaf, ROOT.pem * (AUTHORITIES_MAX + 1)):
        with pytest.raises(Malformed):
            authorities_in(pem)

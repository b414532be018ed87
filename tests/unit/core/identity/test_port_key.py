"""A key that is elsewhere signs certificates and tokens, and gives nothing else away."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from joserfc import jws

from answerable.core.identity.keys.port_key import PortKey, jose_key_of
from answerable.errors import Broken, Unavailable

PRIVATE = ec.generate_private_key(ec.SECP256R1())
ECDSA = ec.ECDSA(hashes.SHA256())
KEY = PortKey(PRIVATE.public_key(), lambda message: PRIVATE.sign(message, ECDSA))
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority")])
START = datetime(2026, 11, 24, tzinfo=UTC)


def built(key):
    builder = x509.CertificateBuilder().subject_name(NAME).issuer_name(NAME).serial_number(1)
    builder = builder.not_valid_before(START).not_valid_after(START + timedelta(days=1))
    return builder.public_key(key.public_key()).sign(key, hashes.SHA256())


def test_it_signs_a_certificate_that_its_public_half_verifies():
    certificate = built(KEY)
    certificate.verify_directly_issued_by(certificate)
    assert certificate.public_key() == PRIVATE.public_key()


def test_joserfc_signs_a_token_with_it_that_the_public_half_verifies():
    token = jws.serialize_compact({"alg": "ES256"}, b"claims", jose_key_of(KEY))
    public = jose_key_of(PRIVATE)
    assert jws.deserialize_compact(token, public).payload == b"claims"
    assert "d" not in jose_key_of(KEY).as_dict(private=True)
    assert "d" not in public.as_dict(private=True)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: KEY.private_numbers(),
        lambda: KEY.exchange(ec.ECDH(), PRIVATE.public_key()),
        lambda: KEY.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        lambda: KEY.sign(b"m", ec.ECDSA(hashes.SHA384())),
        lambda: KEY.sign(b"m", ec.ECDSA(hashes.SHA1())),  # noqa: S303
        lambda: PortKey(ec.generate_private_key(ec.SECP384R1()).public_key(), lambda message: b""),
    ],
)
def test_every_other_use_is_refused(ask):
    with pytest.raises(Broken) as told:
        ask()
    assert told.value.code == "port_key.use"


def test_what_the_store_of_keys_raises_passes_through_the_builder_of_certificates():
    def gone(message: bytes) -> bytes:
        raise Unavailable("gone", code="authority_keys.missing", port="authority_keys")

    with pytest.raises(Unavailable):
        built(PortKey(PRIVATE.public_key(), gone))


def test_it_has_the_shape_of_a_key_and_shows_nothing():
    assert KEY.key_size == 256
    assert isinstance(KEY.curve, ec.SECP256R1)
    assert copy.copy(KEY) is KEY
    assert copy.deepcopy(KEY) is KEY
    assert repr(KEY) == "PortKey(P-256)"

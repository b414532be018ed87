"""Which passkeys count as attested: those for whose device a configured root vouches, and no others."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from webauthn.helpers import encode_cbor, parse_cbor

from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.identity.people.passkey import Passkey
from answerable.core.identity.people.passkey_registration import PasskeyRegistration, registered
from answerable.errors import AnswerableError
from answerable.testing.clock import START
from answerable.testing.soft_passkey import ORIGIN, RP_ID, SoftPasskey

pytestmark = pytest.mark.requirement("PASSKEY-04")

CHALLENGE = bytes(range(32))


def named(text: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "SE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, text),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Authenticator Attestation"),
            x509.NameAttribute(NameOID.COMMON_NAME, text),
        ]
    )


class Maker:
    """Makes security keys, and certificates for their models."""

    def __init__(self, name: str, *, model: bytes = b"", critical: bool = False) -> None:
        """model: what the certificate of its batch says about models, as DER; empty for nothing."""
        self.model, self.critical = model, critical
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = named(name)
        self.certificate = self._certified(self.key, self.name, is_root=True)
        self.batch = ec.generate_private_key(ec.SECP256R1())
        self.batch_certificate = self._certified(self.batch, named(f"{name} batch"), is_root=False)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def _certified(self, key: Any, name: x509.Name, *, is_root: bool) -> x509.Certificate:
        now = datetime.now(UTC)
        built = (
            x509.CertificateBuilder().subject_name(name).issuer_name(self.name).public_key(key.public_key())
        )
        built = built.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        built = built.not_valid_after(now + timedelta(days=30))
        path = x509.BasicConstraints(ca=is_root, path_length=None)
        built = built.add_extension(path, critical=True)
        if self.model and not is_root:
            told = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4"), self.model)
            built = built.add_extension(told, critical=self.critical)
        return built.sign(self.key, hashes.SHA256())

    def vouched(self, made: PasskeyRegistration, *, signer: Any = None) -> PasskeyRegistration:
        """The same registration, signed by the key of a batch of this maker. signer: of somebody who has not got it."""
        data = parse_cbor(made.attestation)["authData"]
        signature = (signer or self.batch).sign(
            data + sha256(made.client_data).digest(), ec.ECDSA(hashes.SHA256())
        )
        chain = [self.batch_certificate.public_bytes(Encoding.DER)]
        statement = {"alg": -7, "sig": signature, "x5c": chain}
        return replace(
            made, attestation=encode_cbor({"fmt": "packed", "attStmt": statement, "authData": data})
        )


def taken_in(registration: PasskeyRegistration, *roots: bytes) -> Passkey:
    return registered(
        registration, challenge=CHALLENGE, rp_id=RP_ID, origins=[ORIGIN], person=PrincipalId("alice"),
        label="key", now=UnixMillis(START), roots=roots,
    )  # fmt: skip


def test_a_root_that_is_configured_vouches_for_the_keys_of_its_maker_alone():
    maker, other = Maker("Keys AB"), Maker("Other Keys")
    made = maker.vouched(SoftPasskey().registration(CHALLENGE))
    assert taken_in(made, maker.pem).attested
    assert taken_in(made, other.pem, maker.pem).attested
    assert not taken_in(made, other.pem).attested
    assert not taken_in(made).attested


def test_who_keeps_to_themselves_or_signs_for_themselves_is_taken_in_unattested():
    maker = Maker("Keys AB")
    device = SoftPasskey()
    made = device.registration(CHALLENGE)
    assert not taken_in(made, maker.pem).attested
    data = parse_cbor(made.attestation)["authData"]
    own = device._key.sign(data + sha256(made.client_data).digest(), ec.ECDSA(hashes.SHA256()))
    statement = {"alg": -7, "sig": own}
    itself = replace(made, attestation=encode_cbor({"fmt": "packed", "attStmt": statement, "authData": data}))
    assert not taken_in(itself, maker.pem).attested


def test_a_certificate_of_a_maker_without_its_signature_is_refused():
    maker = Maker("Keys AB")
    forged = maker.vouched(
        SoftPasskey().registration(CHALLENGE), signer=ec.generate_private_key(ec.SECP256R1())
    )
    for roots in ((), (maker.pem,)):
        with pytest.raises(AnswerableError) as raised:
            taken_in(forged, *roots)
        assert raised.value.code == "passkey.attestation"


def test_what_was_signed_for_one_passkey_vouches_for_no_other():
    maker = Maker("Keys AB")
    made = maker.vouched(SoftPasskey().registration(CHALLENGE))
    other = SoftPasskey(seed="another")
    statement = parse_cbor(made.attestation)["attStmt"]
    data = parse_cbor(other.registration(CHALLENGE).attestation)["authData"]
    grafted = replace(
        other.registration(CHALLENGE),
        attestation=encode_cbor({"fmt": "packed", "attStmt": statement, "authData": data}),
    )
    with pytest.raises(AnswerableError) as raised:
        taken_in(grafted, maker.pem)
    assert raised.value.code == "passkey.attestation"


@pytest.mark.parametrize("form", ["apple", "android-key", "android-safetynet"])
def test_roots_that_the_library_brings_along_vouch_for_nobody_here(form, monkeypatch):
    from webauthn.helpers.structs import AttestationFormat
    from webauthn.registration import verify_registration_response as library

    maker = Maker("Keys AB")
    made = maker.vouched(SoftPasskey().registration(CHALLENGE))
    names = {"apple": "verify_apple", "android-key": "verify_android_key"}
    # What the library says of a statement that is good under a root of its own; nobody here can make one.
    monkeypatch.setattr(library, names.get(form, "verify_android_safetynet"), lambda **_given: True)
    statement = parse_cbor(made.attestation)
    other = replace(made, attestation=encode_cbor({**statement, "fmt": AttestationFormat(form).value}))
    assert not taken_in(other, maker.pem).attested


MODEL = bytes(range(16))
OCTETS = b"\x04\x10"


@pytest.mark.requirement("REPLY-10")
def test_a_device_of_the_model_that_its_certificate_is_for_is_attested():
    maker = Maker("Keys AB", model=OCTETS + MODEL)
    made = maker.vouched(SoftPasskey(aaguid=MODEL).registration(CHALLENGE))
    assert taken_in(made, maker.pem).attested
    assert not taken_in(made).attested


@pytest.mark.requirement("REPLY-10")
@pytest.mark.parametrize(
    "told",
    [
        {"model": OCTETS + bytes(16)},
        {"model": MODEL},
        {"model": OCTETS + MODEL + b"\0"},
        {"model": OCTETS + MODEL, "critical": True},
    ],
)
def test_a_device_that_names_another_model_than_its_certificate_is_refused(told):
    maker = Maker("Keys AB", **told)
    made = maker.vouched(SoftPasskey(aaguid=MODEL).registration(CHALLENGE))
    for roots in ((), (maker.pem,)):
        with pytest.raises(AnswerableError) as raised:
            taken_in(made, *roots)
        assert raised.value.code == "passkey.attestation"

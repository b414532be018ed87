"""Attest workloads by possession of an X.509 certificate that a configured authority issued.

Laws: cryptography's RFC 5280 verifier builds the path, to configured authorities only, never the system's; the leaf may
sign and is no authority; its key signs our challenge and the key to enrol, so that a certificate alone, which is
public, proves nothing. Revocation lists are not consulted: remove the authority or the registration instead.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from answerable.core.identity.workload.attestation import selector
from answerable.errors.codes.workloads import (
    X509_POP_AUTHORITIES,
    X509_POP_CHAIN,
    X509_POP_MALFORMED,
    X509_POP_SIGNATURE,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from answerable.core.identity.names.principal import UnixMillis

CHAIN_MAX: Final = 8
CERTIFICATE_BYTES_MAX: Final = 16_384
AUTHORITIES_MAX: Final = 256
SIGNATURE_BYTES_MAX: Final = 1024
RSA_BITS_MIN: Final = 2048
RSA_BITS_MAX: Final = 8192

_UNDERSTOOD: Final = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)
"""Extensions that may be critical in a leaf."""
_UNREADABLE: Final = (
    ValueError,
    TypeError,  # a name attribute of an impossible type
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises for octets that are no certificate."""


def authorities_in(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Read the configured authorities. Raises Malformed (`x509_pop.authorities`)."""
    try:
        found = tuple(x509.load_pem_x509_certificates(pem))
        constraints = [
            one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca for one in found
        ]
    except (ValueError, x509.ExtensionNotFound) as error:
        raise X509_POP_AUTHORITIES(f"cannot read the PEM file of authorities: {error}") from None
    if not all(constraints) or len(found) > AUTHORITIES_MAX:
        message = f"expected at most {AUTHORITIES_MAX} certificates in PEM, each of an authority"
        raise X509_POP_AUTHORITIES(message)
    return found


def verified_x509_pop(
    chain: Sequence[bytes],
    *,
    signature: bytes,
    message: bytes,
    authorities: Sequence[x509.Certificate],
    now: UnixMillis,
) -> tuple[str, ...]:
    """Return the selectors of a certificate whose owner signed `message`, sorted. chain: DER, leaf first.

    signature: by the leaf's key: RSA-PSS with SHA-256 and a salt of 32 bytes, ECDSA in DER with the hash of the curve's
    size, or Ed25519. Raises Malformed (`x509_pop.malformed`) and Unverified (`x509_pop.chain`, `x509_pop.signature`).
    """
    leaf, *others = _loaded(chain)
    anchor = _anchor(leaf, others, authorities, now)
    check_possession(leaf.public_key(), signature, message)
    return tuple(sorted(set(_selectors(leaf, anchor))))


def _loaded(chain: Sequence[bytes]) -> list[x509.Certificate]:
    if not 1 <= len(chain) <= CHAIN_MAX or any(len(one) > CERTIFICATE_BYTES_MAX for one in chain):
        message = f"expected 1 to {CHAIN_MAX} certificates of at most {CERTIFICATE_BYTES_MAX} bytes"
        raise X509_POP_MALFORMED(message)
    try:
        loaded = [x509.load_der_x509_certificate(one) for one in chain]
        for one in loaded:
            # Read in full now, since the library parses these lazily.
            _ = one.extensions, one.not_valid_before_utc, one.not_valid_after_utc
            _ = tuple(one.issuer), tuple(one.subject)
        loaded[0].public_key()
    except _UNREADABLE:
        raise X509_POP_MALFORMED("a certificate of the chain cannot be read") from None
    return loaded


def _anchor(
    leaf: x509.Certificate,
    others: list[x509.Certificate],
    authorities: Sequence[x509.Certificate],
    now: UnixMillis,
) -> x509.Certificate:
    if not authorities:
        raise X509_POP_CHAIN("no authority is configured for certificates")
    unknown = {one.oid for one in leaf.extensions if one.critical} - _UNDERSTOOD
    if unknown:
        raise X509_POP_CHAIN("the certificate has a critical extension that is not understood")
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store(list(authorities)))
        .time(datetime.fromtimestamp(now / 1000, UTC))
        .max_chain_depth(CHAIN_MAX)
        .extension_policies(
            ca_policy=verification.ExtensionPolicy.webpki_defaults_ca(), ee_policy=_leaf_policy()
        )
        .build_client_verifier()
    )
    try:
        return verifier.verify(leaf, others).chain[-1]
    except (verification.VerificationError, ValueError, UnsupportedAlgorithm):
        raise X509_POP_CHAIN("no valid chain leads to a configured authority") from None


def _leaf_policy() -> verification.ExtensionPolicy:
    agnostic = verification.Criticality.AGNOSTIC
    return (
        verification.ExtensionPolicy.permit_all()
        .may_be_present(x509.BasicConstraints, agnostic, _is_no_authority)
        .may_be_present(x509.KeyUsage, agnostic, _may_sign)
        .may_be_present(x509.ExtendedKeyUsage, agnostic, _is_of_a_client)
    )


def _is_no_authority(
    policy: verification.Policy, leaf: x509.Certificate, value: x509.BasicConstraints | None
) -> None:
    if value is not None and value.ca:
        raise ValueError("the leaf is an authority")


def _may_sign(policy: verification.Policy, leaf: x509.Certificate, value: x509.KeyUsage | None) -> None:
    if value is not None and (not value.digital_signature or value.key_cert_sign or value.crl_sign):
        raise ValueError("the leaf may not sign statements, or may sign certificates")


def _is_of_a_client(
    policy: verification.Policy, leaf: x509.Certificate, value: x509.ExtendedKeyUsage | None
) -> None:
    if value is not None and ExtendedKeyUsageOID.CLIENT_AUTH not in value:
        raise ValueError("the leaf is not for authenticating a client")


def check_possession(key: object, signature: bytes, message: bytes) -> None:
    """Check that the owner of a certificate's public key signed this message, by the algorithms of `verified_x509_pop`.

    Raises Unverified (`x509_pop.signature`).
    """
    if len(signature) <= SIGNATURE_BYTES_MAX:
        try:
            # The path verifier checks the keys of authorities only, so check the leaf's key size here.
            if isinstance(key, rsa.RSAPublicKey) and RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
                pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
                key.verify(signature, message, pss, hashes.SHA256())
                return
            if isinstance(key, ed25519.Ed25519PublicKey):
                key.verify(signature, message)
                return
            if isinstance(key, ec.EllipticCurvePublicKey):
                sizes = {
                    "secp256r1": hashes.SHA256(),
                    "secp384r1": hashes.SHA384(),
                    "secp521r1": hashes.SHA512(),
                }
                key.verify(signature, message, ec.ECDSA(sizes[key.curve.name]))
                return
        except (InvalidSignature, KeyError):
            pass
    raise X509_POP_SIGNATURE()


def _selectors(leaf: x509.Certificate, anchor: x509.Certificate) -> Iterator[str]:
    yield from selector("x509_pop", "ca_sha256", anchor.fingerprint(hashes.SHA256()).hex())
    yield from selector("x509_pop", "serial", leaf.serial_number)
    names = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(names) == 1:
        yield from selector("x509_pop", "cn", names[0].value)
    try:
        names_too = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    for uri in names_too.get_values_for_type(x509.UniformResourceIdentifier):
        yield from selector("x509_pop", "san_uri", uri)

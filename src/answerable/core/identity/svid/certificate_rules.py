"""Check single certificates, leaf or signing, against the X509-SVID standard, before any path is built.

Laws: a certificate has one reading or is refused; this module, not a library, decides which keys and usages are
permitted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID

from answerable.core.identity.names.spiffe_id import SpiffeId, spiffe_id
from answerable.core.identity.svid.svid_keys import SVIDPublicKey, accepted_key
from answerable.errors import Malformed, Unverified, shown
from answerable.errors.codes.identity import (
    BUNDLE_AUTHORITY,
    SVID_AUTHORITY,
    SVID_CERTIFICATE,
    SVID_ID,
    SVID_KEY,
    SVID_KEY_USAGE,
    SVID_PURPOSE,
    SVID_SAN,
    SVID_SIGNER,
    SVID_URI_SAN,
)

CERTIFICATE_BYTES_MAX: Final = 16_384
SERIAL_BITS_MAX: Final = 159
"""At most 20 octets, positive (RFC 5280, section 4.1.2.2)."""

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True, kw_only=True)
class SVIDCertificate:
    """A parsed certificate, made by `read_certificate`; nothing in it is verified.

    uris: all URI names of the subject, in order. is_authority: `cA`. purposes: extended key usage, None without one.
    """

    der: bytes
    certificate: x509.Certificate
    key: SVIDPublicKey
    usage: x509.KeyUsage
    uris: tuple[str, ...]
    is_authority: bool
    purposes: frozenset[x509.ObjectIdentifier] | None


def read_certificate(der: bytes) -> SVIDCertificate:
    """Parse one DER certificate, and check what applies to leaf and signing certificates alike (sections 2, 4.3).

    Raises Unverified: `svid.certificate` unless it is an X.509 v3 certificate with a positive serial number and each
    extension once, `svid.key`, `svid.key_usage` without a critical key usage, `svid.san`.
    """
    if len(der) > CERTIFICATE_BYTES_MAX:
        raise SVID_CERTIFICATE(f"certificate of {len(der)} bytes, at most {CERTIFICATE_BYTES_MAX}")
    certificate, extensions, key = _parsed(der)
    if not 0 < certificate.serial_number < 1 << SERIAL_BITS_MAX:
        raise SVID_CERTIFICATE("serial number is not positive or has more than 20 octets")
    if not der.endswith(b"\x00" + certificate.signature):
        # The number of unused bits is not covered by the signature, and verifiers ignore it.
        raise SVID_CERTIFICATE("the signature is not a whole number of octets")
    if key is None:
        raise SVID_KEY("the key is not RSA of 2048 to 8192 bits nor EC on P-256, P-384 or P-521")
    usage = _extension(extensions, x509.KeyUsage)
    if usage is None or not usage.critical:
        raise SVID_KEY_USAGE("key usage is absent or not critical")
    return SVIDCertificate(
        der=der,
        certificate=certificate,
        key=key,
        usage=usage.value,
        uris=_uris(certificate, extensions),
        is_authority=_is_authority(extensions),
        purposes=_purposes(extensions),
    )


def leaf_id(leaf: SVIDCertificate) -> SpiffeId:
    """Check the rules for a leaf (sections 2, 3.1, 4, 5.2), and return its SPIFFE ID.

    Raises Unverified: `svid.uri_san` unless there is exactly one URI, `svid.id` unless it is a SPIFFE ID with a path,
    `svid.authority` for a signing certificate, `svid.key_usage`, `svid.purpose`.
    """
    if len(leaf.uris) != 1:
        raise SVID_URI_SAN(f"a leaf certificate must have exactly one URI name, got {len(leaf.uris)}")
    name = _spiffe_id(leaf.uris[0])
    if not name.path:
        raise SVID_ID(f"{shown(name)} is the SPIFFE ID of a trust domain, expected that of a workload")
    if leaf.is_authority:
        raise SVID_AUTHORITY()
    usage = leaf.usage
    if not usage.digital_signature or usage.key_cert_sign or usage.crl_sign:
        raise SVID_KEY_USAGE("key usage of a leaf needs digitalSignature, without keyCertSign and cRLSign")
    needed = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    if leaf.purposes is not None and not needed <= leaf.purposes:
        raise SVID_PURPOSE()
    return name


def check_signing(signer: SVIDCertificate) -> SpiffeId | None:
    """Check the rules for a signing certificate, and return its SPIFFE ID, or None without one (sections 3.2, 4.1,
    4.3).

    Raises Unverified: `svid.signer` unless it may sign certificates, `svid.uri_san`, `svid.id` for an id with a path.
    """
    if not signer.is_authority or not signer.usage.key_cert_sign:
        raise SVID_SIGNER()
    if not signer.uris:
        return None
    if len(signer.uris) > 1:
        raise SVID_URI_SAN("a signing certificate has more than one URI name")
    name = _spiffe_id(signer.uris[0])
    if name.path:
        raise SVID_ID(f"the signing certificate {shown(name)} has a path")
    return name


def authority_key(der: bytes) -> SVIDPublicKey:
    """Return the key of an authority's certificate. Raises Malformed (`bundle.authority`) unless it may sign SVIDs."""
    try:
        authority = read_certificate(der)
        check_signing(authority)
    except Unverified as error:
        raise BUNDLE_AUTHORITY(f"authority: {error.message}") from None
    return authority.key


def _parsed(der: bytes) -> tuple[x509.Certificate, x509.Extensions, SVIDPublicKey | None]:
    """Parse everything in a certificate that the library parses lazily, so that parse errors occur here."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        for name in (certificate.issuer, certificate.subject):
            tuple(name)
        _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc, certificate.serial_number
        return certificate, certificate.extensions, accepted_key(certificate.public_key())
    except (
        ValueError,
        TypeError,  # a name attribute of an impossible type
        OverflowError,
        UnsupportedAlgorithm,
        x509.DuplicateExtension,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise SVID_CERTIFICATE(f"certificate is unreadable: {shown(error)}") from None


def _spiffe_id(text: str) -> SpiffeId:
    try:
        return spiffe_id(text)
    except Malformed as error:
        raise SVID_ID(error.message) from None


def _extension(extensions: x509.Extensions, kind: type[_Extension]) -> x509.Extension[_Extension] | None:
    try:
        return extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


def _uris(certificate: x509.Certificate, extensions: x509.Extensions) -> tuple[str, ...]:
    names = _extension(extensions, x509.SubjectAlternativeName)
    if names is None:
        return ()
    if not names.critical and not certificate.subject.rdns:
        # Section 3.1; RFC 5280, section 4.1.2.6.
        raise SVID_SAN()
    return tuple(names.value.get_values_for_type(x509.UniformResourceIdentifier))


def _is_authority(extensions: x509.Extensions) -> bool:
    """Whether `cA` is set; the default is false (RFC 5280, section 4.2.1.9)."""
    constraints = _extension(extensions, x509.BasicConstraints)
    return constraints is not None and constraints.value.ca


def _purposes(extensions: x509.Extensions) -> frozenset[x509.ObjectIdentifier] | None:
    purposes = _extension(extensions, x509.ExtendedKeyUsage)
    return None if purposes is None else frozenset(purposes.value)

"""Issue X.509-SVIDs, and verify which workload a certificate chain identifies (X509-SVID standard, sections 2 to 5).

Laws:
- the trust domain in the leaf selects the bundle first, and a path is built to that bundle alone, never to another
 domain's authorities nor to those of the system;
- an intermediate that names another trust domain than the leaf's is refused, even if no path needs it;
- a certificate that may sign identifies nobody; a certificate that identifies a workload signs nothing.

`cryptography.x509.verification` builds and checks paths (RFC 5280, section 6): signatures, names, validity of every
certificate and the authority itself, path length, name constraints (those on URIs are refused as unsupported, which
X509-SVID section 4.2 warns of), unknown critical extensions, weak algorithms. Its extension policy can be relaxed so
that a leaf needs no DNS name. All SPIFFE rules about single certificates are in `certificate_rules`, and are applied to
every certificate before a path is built. A loop of our own over `verify_directly_issued_by` would have to repeat what
the library does. The library requires authorities to have a subject, as RFC 5280 section 4.1.2.6 does, and compares
whole seconds, so validity is checked once more along the path that it found.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.names.spiffe_id import SpiffeId, TrustDomain
from answerable.core.identity.svid.certificate_rules import (
    SVIDCertificate,
    check_signing,
    leaf_id,
    read_certificate,
)
from answerable.core.identity.svid.svid_keys import accepted_key
from answerable.errors import shown
from answerable.errors.codes.identity import (
    SVID_CHAIN,
    SVID_EXPIRED,
    SVID_ISSUE,
    SVID_NOT_YET_VALID,
    SVID_OTHER_DOMAIN,
    SVID_PATH,
    SVID_TRUST_DOMAIN,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cryptography.hazmat.primitives.asymmetric import ec

    from answerable.core.identity.svid.svid_keys import SVIDPublicKey
    from answerable.core.identity.svid.trust_bundle import TrustBundle

CHAIN_CERTIFICATES_MAX: Final = 4
"""Most certificates in a presented chain: a leaf and up to three intermediates."""
STORES_MAX: Final = 64
"""Most sets of authorities that are cached in prepared form."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_SECOND: Final = 253_402_300_799  # 9999-12-31T23:59:59Z, the last second that RFC 5280 can represent.


@dataclass(frozen=True, slots=True, kw_only=True)
class X509Svid:
    """A verified identity. chain: the intermediates as presented, without the leaf, so that `leaf` and `chain` together
    are what TLS sends; empty if an authority signed the leaf. public_key: SubjectPublicKeyInfo, DER."""

    id: SpiffeId
    leaf: bytes
    chain: tuple[bytes, ...]
    serial: int
    not_before: UnixMillis
    not_after: UnixMillis
    public_key: bytes


def presented_id(chain: Sequence[bytes]) -> SpiffeId:
    """Return the claimed SPIFFE ID of a chain. Only the form is checked: no signature and no authority.

    chain: DER, leaf first. Raises Unverified (`svid.chain` and as `verified_x509_svid`).
    """
    return _read_chain(chain)[1]


def verified_x509_svid(
    chain: Sequence[bytes], *, bundle_of: Callable[[TrustDomain], TrustBundle | None], now: UnixMillis
) -> X509Svid:
    """Verify a chain (DER, leaf first). Its holder must already have proved possession of the leaf's key.

    Raises Unverified with step `svid`: `svid.chain`, `.certificate`, `.key`, `.key_usage`, `.san`, `.uri_san`, `.id`,
    `.authority`, `.purpose`, `.signer`, `.other_domain`, `.trust_domain` when its domain has no bundle or no authority,
    `.expired`, `.not_yet_valid`, `.path`.
    """
    leaf, name, signers = _read_chain(chain)
    bundle = bundle_of(name.trust_domain)
    if bundle is None or bundle.trust_domain != name.trust_domain or not bundle.x509_authorities:
        message = f"trust domain {shown(name.trust_domain)} has no authority for X.509-SVIDs here"
        raise SVID_TRUST_DOMAIN(message)
    _check_validity(leaf.certificate, now)
    _check_path(leaf, signers, bundle, now)
    return X509Svid(
        id=name,
        leaf=leaf.der,
        chain=tuple(signer.der for signer in signers),
        serial=leaf.certificate.serial_number,
        not_before=_millis(leaf.certificate.not_valid_before_utc),
        not_after=_millis(leaf.certificate.not_valid_after_utc),
        public_key=leaf.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    )


def leaf_certificate(
    *,
    id: SpiffeId,
    public_key: SVIDPublicKey,
    issuer: x509.Certificate,
    serial: int,
    not_before: UnixMillis,
    not_after: UnixMillis,
    sign: ec.EllipticCurvePrivateKey,
) -> bytes:
    """Issue the DER certificate of a workload: no subject, one critical URI name, both TLS purposes (sections 3.1, 4).

    sign: the issuer's key, or a `PortKey` for it. Times are truncated to seconds. Raises Malformed (`svid.issue`) for
    an id without a path or of another trust domain than the issuer's, for a key that a verifier would refuse, and for
    an invalid validity period or one that ends after the issuer's; and what `sign` raises.
    """
    authority = read_certificate(issuer.public_bytes(Encoding.DER))
    domain = check_signing(authority)
    if not id.path or domain is None or domain.trust_domain != id.trust_domain:
        raise SVID_ISSUE(f"this authority cannot issue {shown(id)}")
    if accepted_key(public_key) is None:
        raise SVID_ISSUE("the key of a leaf is RSA or EC on a curve of NIST")
    if not_after > _millis(issuer.not_valid_after_utc):
        raise SVID_ISSUE("an SVID does not outlive its authority")
    builder = (
        _dated(serial, not_before, not_after)
        .subject_name(x509.Name([]))
        .issuer_name(issuer.subject)
        .public_key(public_key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
        .add_extension(_names(id), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key), critical=False)
    )
    return builder.sign(sign, hashes.SHA256()).public_bytes(Encoding.DER)


def authority_certificate(
    *,
    domain: TrustDomain,
    key: ec.EllipticCurvePrivateKey,
    serial: int,
    not_before: UnixMillis,
    not_after: UnixMillis,
) -> bytes:
    """Make the self-signed DER certificate of a trust domain's authority, which signs leaves only (sections 3.2, 4).

    key: the authority's key, or a `PortKey` for it. Raises Malformed (`svid.issue`), and what the key raises.
    """
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "SPIFFE authority"),
            # Makes the subject unique: with equal subjects, path building would have to try both authorities.
            x509.NameAttribute(NameOID.SERIAL_NUMBER, f"{serial:x}"),
        ]
    )
    public_key = key.public_key()
    builder = (
        _dated(serial, not_before, not_after)
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(_names(SpiffeId(trust_domain=domain, path="")), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def _read_chain(chain: Sequence[bytes]) -> tuple[SVIDCertificate, SpiffeId, tuple[SVIDCertificate, ...]]:
    if not 1 <= len(chain) <= CHAIN_CERTIFICATES_MAX:
        raise SVID_CHAIN(f"chain of {len(chain)} certificates, expected 1 to {CHAIN_CERTIFICATES_MAX}")
    leaf = read_certificate(chain[0])
    name = leaf_id(leaf)
    signers = tuple(read_certificate(der) for der in chain[1:])
    for signer in signers:
        domain = check_signing(signer)
        if domain is not None and domain.trust_domain != name.trust_domain:
            raise SVID_OTHER_DOMAIN(
                f"an intermediate certificate of {shown(domain)} may not sign for {shown(name)}"
            )
    return leaf, name, signers


def _check_path(
    leaf: SVIDCertificate, signers: tuple[SVIDCertificate, ...], bundle: TrustBundle, now: UnixMillis
) -> None:
    anything = verification.ExtensionPolicy.permit_all()
    signing = anything.require_present(x509.BasicConstraints, verification.Criticality.AGNOSTIC, None)
    policy = (
        verification.PolicyBuilder()
        .store(_store(bundle.x509_authorities))
        .time(_moment(now))
        .max_chain_depth(CHAIN_CERTIFICATES_MAX - 1)
        .extension_policies(ca_policy=signing, ee_policy=anything)
    )
    intermediates = [signer.certificate for signer in signers]
    try:
        path = policy.build_client_verifier().verify(leaf.certificate, intermediates).chain
    except (verification.VerificationError, ValueError, TypeError) as error:
        raise SVID_PATH(f"no path to an authority of {shown(bundle.trust_domain)}: {shown(error)}") from None
    for certificate in path[1:]:
        _check_validity(certificate, now)


@lru_cache(maxsize=STORES_MAX)
def _store(authorities: tuple[bytes, ...]) -> verification.Store:
    """Return a verification store. Raises Unverified for a certificate that may not sign, in a bundle that was not
    parsed."""
    certificates = [read_certificate(der) for der in authorities]
    for certificate in certificates:
        check_signing(certificate)
    return verification.Store([certificate.certificate for certificate in certificates])


def _check_validity(certificate: x509.Certificate, now: UnixMillis) -> None:
    """Check the validity period (RFC 5280, section 4.1.2.5): both ends are included."""
    if now < _millis(certificate.not_valid_before_utc):
        raise SVID_NOT_YET_VALID("a certificate of the chain is not yet valid")
    if now > _millis(certificate.not_valid_after_utc):
        raise SVID_EXPIRED("a certificate of the chain has expired")


def _dated(serial: int, not_before: UnixMillis, not_after: UnixMillis) -> x509.CertificateBuilder:
    first, last = not_before // 1000, not_after // 1000
    if not 0 < first < last <= _LAST_SECOND:
        raise SVID_ISSUE("validity of a certificate ends after it begins")
    if serial < 1 or serial.bit_length() > 159:
        raise SVID_ISSUE("a serial number is positive and has at most 159 bits")
    return (
        x509.CertificateBuilder()
        .serial_number(serial)
        .not_valid_before(_moment(first * 1000))
        .not_valid_after(_moment(last * 1000))
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _names(name: SpiffeId) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(str(name))])


def _moment(millis: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=millis)


def _millis(moment: datetime) -> UnixMillis:
    return UnixMillis(int(moment.timestamp()) * 1000)

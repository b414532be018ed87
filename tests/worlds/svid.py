"""Authorities, certificates and tokens to order, good and bad, with keys made on the spot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from joserfc import jws as jose
from joserfc.jwk import ECKey, RSAKey

from answerable.core.canonical import encode
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.names.spiffe_id import spiffe_id, trust_domain
from answerable.core.identity.svid.svid_keys import jwk_text
from answerable.core.identity.svid.trust_bundle import TrustBundle
from answerable.core.identity.svid.x509_svid import authority_certificate, leaf_certificate

DOMAIN = trust_domain("example.org")
OTHER_DOMAIN = trust_domain("example.net")
AGENT = spiffe_id("spiffe://example.org/agent/scout/1")
NOW = UnixMillis(1_795_500_000_000)
HOUR = 3_600_000
KID = "key-1"
BOTH_PURPOSES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")

_ECDSA_WITH_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@cache
def ec_key(name: str = "leaf", curve: type[ec.EllipticCurve] = ec.SECP256R1) -> ec.EllipticCurvePrivateKey:
    """The same key for the same name in one run."""
    return ec.generate_private_key(curve())


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def moment(millis: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=millis)


def named(text: str | x509.Name) -> x509.Name:
    if isinstance(text, x509.Name):
        return text
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)] if text else [])


def usage(*flags: str) -> x509.KeyUsage:
    every = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign "
        "crl_sign encipher_only decipher_only"
    )
    return x509.KeyUsage(**{flag: flag in flags for flag in every.split()})


@dataclass(frozen=True)
class Signer:
    """A name that signs, with its key and, made by `certificate`, its DER."""

    subject: str | x509.Name
    key: PrivateKey
    der: bytes = b""


def certificate(
    *,
    issuer: Signer,
    subject: str = "",
    key: PrivateKey | Any = None,
    uris: tuple[str, ...] = (str(AGENT),),
    authority: bool | None = False,
    path_length: int | None = None,
    flags: tuple[str, ...] | None = ("digital_signature",),
    usage_critical: bool = True,
    purposes: tuple[x509.ObjectIdentifier, ...] = BOTH_PURPOSES,
    san_critical: bool = True,
    more: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    begins: int = NOW - HOUR,
    ends: int = NOW + HOUR,
    digest: hashes.SHA224 | hashes.SHA256 | hashes.SHA512 | None = None,
    serial: int = 7,
) -> bytes:
    """A certificate with one thing wrong, or none: DER."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer.subject))
        .public_key((key or ec_key()).public_key())
        .serial_number(serial)
        .not_valid_before(moment(begins))
        .not_valid_after(moment(ends))
    )
    extensions = list(more)
    if authority is not None:
        extensions.append((x509.BasicConstraints(ca=authority, path_length=path_length), True))
    if flags is not None:
        extensions.append((usage(*flags), usage_critical))
    if purposes:
        extensions.append((x509.ExtendedKeyUsage(purposes), False))
    if uris:
        extensions.append(
            (x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris]), san_critical)
        )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(issuer.key, digest or hashes.SHA256()).public_bytes(Encoding.DER)


def signer(
    subject: str, *, issuer: Signer | None = None, key: PrivateKey | None = None, **changes: Any
) -> Signer:
    """A signing certificate, self-signed unless `issuer` made it."""
    own = Signer(subject, key or ec_key(subject))
    changes = {
        "uris": ("spiffe://example.org",),
        "authority": True,
        "flags": ("key_cert_sign",),
        "purposes": (),
        "san_critical": False,
        **changes,
    }
    der = certificate(issuer=issuer or own, subject=subject, key=own.key, **changes)
    return Signer(subject, own.key, der)


def signed_again(tbs: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """A certificate around content that may be anything: what a hostile authority can make."""
    signature = key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    body = tbs + _ECDSA_WITH_SHA256 + _tagged(0x03, b"\0" + signature)
    return _tagged(0x30, body)


def _tagged(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < 0x80 else b"\x82" + size.to_bytes(2, "big")
    if 0x80 <= size < 0x100:
        length = bytes([0x81, size])
    return bytes([tag]) + length + content


ROOT = "root"


@cache
def root() -> Signer:
    return signer(ROOT)


def bundle_with(*authorities: bytes, domain: str = DOMAIN, **changes: Any) -> TrustBundle:
    return TrustBundle(trust_domain=trust_domain(domain), x509_authorities=authorities, **changes)


def only(bundle: TrustBundle):
    """A trust source that knows one bundle."""
    return lambda domain: bundle if domain == bundle.trust_domain else None


# --- ours -----------------------------------------------------------------------------------------


@cache
def our_authority() -> bytes:
    return authority_certificate(
        domain=DOMAIN,
        key=ec_key("ours"),
        serial=0xC0FFEE,
        not_before=UnixMillis(NOW - HOUR),
        not_after=UnixMillis(NOW + 24 * HOUR),
    )


def our_signer() -> Signer:
    """Our authority, ready to sign what it should not."""
    return Signer(x509.load_der_x509_certificate(our_authority()).subject, ec_key("ours"), our_authority())


def our_leaf(**changes: Any) -> bytes:
    return leaf_certificate(
        **{
            "id": AGENT,
            "public_key": ec_key().public_key(),
            "issuer": x509.load_der_x509_certificate(our_authority()),
            "serial": 99,
            "not_before": UnixMillis(NOW - 30_000),
            "not_after": UnixMillis(NOW + HOUR),
            "sign": ec_key("ours"),
            **changes,
        }
    )


# --- tokens ---------------------------------------------------------------------------------------


def token_bundle(key: PrivateKey | None = None, **changes: Any) -> TrustBundle:
    """A bundle with one key, for JWT-SVIDs under KID and for WIT-SVIDs under KID + `-wit`."""
    jwk = jwk_text((key or ec_key("tokens")).public_key())
    return TrustBundle(
        **{
            "trust_domain": DOMAIN,
            "jwt_authorities": {KID: jwk},
            "wit_authorities": {f"{KID}-wit": jwk},
            **changes,
        }
    )


def token(header: dict[str, Any], claims: dict[str, Any], key: PrivateKey | None = None) -> str:
    """A token that joserfc signs, whatever it says."""
    signing = key or ec_key("tokens")
    imported = (
        RSAKey.import_key(signing) if isinstance(signing, rsa.RSAPrivateKey) else ECKey.import_key(signing)
    )
    registry = jose.JWSRegistry(algorithms=[header["alg"]], strict_check_header=False)
    return jose.serialize_compact(dict(header), encode(claims), imported, registry=registry)


def jwt_header(**changes: Any) -> dict[str, Any]:
    return _without_none({"alg": "ES256", "kid": KID, "typ": "JWT", **changes})


def jwt_claims(**changes: Any) -> dict[str, Any]:
    claims = {"sub": str(AGENT), "aud": ["bank"], "iat": NOW // 1000, "exp": NOW // 1000 + 300, **changes}
    return _without_none(claims)


def wit_header(**changes: Any) -> dict[str, Any]:
    return _without_none({"alg": "ES256", "kid": f"{KID}-wit", "typ": "wit+jwt", **changes})


def wit_claims(**changes: Any) -> dict[str, Any]:
    numbers = ECKey.import_key(ec_key().public_key()).as_dict(private=False)
    confirmed = {name: numbers[name] for name in ("kty", "crv", "x", "y")} | {"alg": "ES256"}
    claims = {"sub": str(AGENT), "exp": NOW // 1000 + 300, "cnf": {"jwk": confirmed}, **changes}
    return _without_none(claims)


def _without_none(members: dict[str, Any]) -> dict[str, Any]:
    """`name=None` leaves a member out."""
    return {name: value for name, value in members.items() if value is not None}

"""What workloads show, made here: an issuer of tokens, a certificate authority, SSH keys; all for one test run."""

from __future__ import annotations

import hmac
import json
import shutil
import subprocess
import warnings
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha512
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.ssh import (
    SSHCertificateBuilder,
    SSHCertificateType,
    serialize_ssh_public_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from joserfc import jws as jose
from joserfc.jwk import ECKey, OKPKey, RSAKey

from answerable.adapters.sqlite import SqliteJoinTokens
from answerable.core.identity.names.spiffe_id import TrustDomain, trust_domain
from answerable.core.identity.svid.trust_bundle import TrustBundle
from answerable.core.identity.workload.oidc_claims import IssuerTerms
from answerable.core.identity.workload.ssh_host import ssh_trust
from answerable.core.identity.workload.x509_pop import authorities_in
from answerable.flows.trust_domain.attest_workload import AttestationTerms, Attestor
from answerable.ports.clock import Clock
from answerable.testing import ManualClock, SeededEntropy
from answerable.testing.clock import START
from answerable.testing.registers import fresh
from tests.probes.loud_skips import skip_loudly
from tests.worlds.token_shapes import GITHUB, KUBERNETES

SECONDS = START // 1000
ISSUER = "https://issuer.test"
CLUSTER = "https://cluster.test"
ACTIONS = "https://actions.test"
AUDIENCE = "answerable"
OWN_DOMAIN = trust_domain("ours.example")
THUMBPRINT = "A" * 43


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@cache
def curve_key(name: str, curve: type[ec.EllipticCurve] = ec.SECP256R1) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve())


@cache
def edwards_key(name: str) -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def jose_key(algorithm: str, name: str = "issuer") -> RSAKey | ECKey | OKPKey:
    if algorithm[:2] in ("RS", "PS"):
        return RSAKey.import_key(rsa_key(name))
    if algorithm.startswith("ES"):
        curves = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}
        return ECKey.import_key(curve_key(name, curves[algorithm]))
    return OKPKey.import_key(edwards_key(name))


def public_jwk(
    algorithm: str, name: str = "issuer", *, kid: str | None = None, **more: Any
) -> dict[str, Any]:
    key = dict(jose_key(algorithm, name).as_dict(private=False))
    key.pop("kid", None)
    return {**key, "kid": kid or f"{algorithm}-{name}", **more}


def key_set(*keys: Mapping[str, Any]) -> bytes:
    return json.dumps({"keys": list(keys)}).encode()


def claims(**changed: Any) -> dict[str, Any]:
    """Good claims; a change to None drops one."""
    good = {
        "iss": ISSUER,
        "sub": "workload-1",
        "aud": AUDIENCE,
        "iat": SECONDS,
        "nbf": SECONDS,
        "exp": SECONDS + 600,
    }
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


def kubernetes_claims(**changed: Any) -> dict[str, Any]:
    """As the API server writes a projected service account token."""
    return claims(**{"iss": CLUSTER, "aud": [AUDIENCE], **KUBERNETES.claims, **changed})


def github_claims(**changed: Any) -> dict[str, Any]:
    """As GitHub writes the token of a workflow's run."""
    return claims(**{"iss": ACTIONS, **GITHUB.claims, **changed})


def token(
    body: Mapping[str, Any], algorithm: str = "ES256", name: str = "issuer", **header: str | None
) -> str:
    """A signed token; `kid` fits `public_jwk` unless it is given, a header of None is left out."""
    made: dict[str, Any] = {"alg": algorithm, "typ": "JWT", "kid": f"{algorithm}-{name}", **header}
    made = {member: value for member, value in made.items() if value is not None}
    registry = jose.JWSRegistry(algorithms=[made["alg"]], strict_check_header=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return jose.serialize_compact(
            made, json.dumps(body).encode(), jose_key(algorithm, name), registry=registry
        )


def mac_token(body: Mapping[str, Any], secret: bytes, **header: str) -> str:
    """A MAC under what should be public."""
    signed = unsigned_token(body, "HS256", **header).rstrip(".")
    mac = hmac.digest(secret, signed.encode(), "sha256")
    return f"{signed}.{urlsafe_b64encode(mac).decode().rstrip('=')}"


def unsigned_token(body: object, alg: str = "none", **header: str) -> str:
    parts = ({"alg": alg, "typ": "JWT", **header}, body)
    return ".".join(urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


class GivenKeys:
    """Port IssuerKeys with what a test gives it."""

    def __init__(self, **sets: bytes) -> None:
        self.sets = {ISSUER: b"", **sets}

    async def key_set(self, issuer: str, *, kid: str) -> bytes | None:
        return self.sets.get(issuer)


class GivenBundles:
    """Port TrustSource with what a test gives it, and takes from it."""

    def __init__(self, given: Mapping[TrustDomain, TrustBundle]) -> None:
        self.given = dict(given)

    def bundle(self, domain: TrustDomain) -> TrustBundle | None:
        return self.given.get(domain)

    def bundles(self) -> Mapping[TrustDomain, TrustBundle]:
        return self.given

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        return lambda: None


def attestor(
    *,
    clock: Clock | None = None,
    tokens: Any = None,
    keys: Any = None,
    issuers: tuple[IssuerTerms, ...] = (),
    pem: bytes = b"",
    known_hosts: str = "",
    bundles: Mapping[TrustDomain, TrustBundle] | None = None,
) -> Attestor:
    default = (
        IssuerTerms(issuer=ISSUER, audience=AUDIENCE),
        IssuerTerms(issuer=CLUSTER, audience=AUDIENCE, kind="kubernetes"),
        IssuerTerms(issuer=ACTIONS, audience=AUDIENCE, kind="github"),
    )
    return Attestor(
        clock=clock or ManualClock(),
        entropy=SeededEntropy("attestation"),
        tokens=tokens or fresh(SqliteJoinTokens),
        keys=keys or GivenKeys(**{ISSUER: key_set(public_jwk("ES256"))}),
        terms=AttestationTerms(
            issuers=issuers or default,
            authorities=authorities_in(pem) if pem else (),
            ssh=ssh_trust(known_hosts),
        ),
        domain=OWN_DOMAIN,
        trust=GivenBundles(bundles or {}),
    )


# --- certificates ---------------------------------------------------------------------------------


class Authority:
    """A certificate authority, and what it issues."""

    def __init__(self, name: str, *, under: Authority | None = None, path_length: int | None = None) -> None:
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = curve_key(name)
        self.certificate = self._built(
            self.key, self.name, under or self, authority=True, path_length=path_length
        )
        self.pem = self.certificate.public_bytes(Encoding.PEM)
        self.der = self.certificate.public_bytes(Encoding.DER)
        self.sha256 = self.certificate.fingerprint(hashes.SHA256()).hex()

    def leaf(self, key: Any, name: str = "host-1", **terms: Any) -> bytes:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return self._built(key, subject, self, **terms).public_bytes(Encoding.DER)

    def _built(
        self,
        key: Any,
        subject: x509.Name,
        issuer: Authority,
        *,
        authority: bool = False,
        path_length: int | None = None,
        uris: tuple[str, ...] = (),
        hosts: tuple[str, ...] = (),
        usage: bool = True,
        digital: bool = True,
        extended: Any = None,
        more: Any = None,
        days: tuple[int, int] = (-1, 30),
    ) -> x509.Certificate:
        start = datetime.fromtimestamp(SECONDS, UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.name)
            .public_key(key.public_key())
            .serial_number(4711)
            .not_valid_before(start + timedelta(days=days[0]))
            .not_valid_after(start + timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=path_length), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False
            )
        )
        if usage:
            flags = dict.fromkeys(
                ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
            )
            builder = builder.add_extension(
                x509.KeyUsage(
                    digital_signature=digital and not authority,
                    key_cert_sign=authority,
                    crl_sign=authority,
                    encipher_only=False,
                    decipher_only=False,
                    **flags,
                ),
                critical=True,
            )
        if uris or hosts:
            names = [x509.UniformResourceIdentifier(uri) for uri in uris] + [
                x509.DNSName(one) for one in hosts
            ]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if extended:
            builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
        if more:
            builder = builder.add_extension(more, critical=True)
        return builder.sign(issuer.key, hashes.SHA256())


CLIENT_AUTH, SERVER_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


def possession(key: Any, message: bytes) -> Any:
    """What the owner of a certificate's key signs."""
    if isinstance(key, rsa.RSAPrivateKey):
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
        return key.sign(message, pss, hashes.SHA256())
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    sizes = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}
    return key.sign(message, ec.ECDSA(sizes[key.curve.key_size]))


# --- SSH ------------------------------------------------------------------------------------------


def ssh_line(key: Any) -> str:
    return serialize_ssh_public_key(key.public_key()).decode()


def ssh_certificate(
    key: Any,
    authority: Any,
    *,
    kind: SSHCertificateType = SSHCertificateType.HOST,
    names: tuple[str, ...] = ("host-1.example",),
    valid: tuple[int, int] = (SECONDS - 60, SECONDS + 3600),
    critical: tuple[bytes, bytes] | None = None,
) -> str:
    builder = (
        SSHCertificateBuilder()
        .public_key(key.public_key())
        .type(kind)
        .key_id(b"id")
        .valid_after(valid[0])
        .valid_before(valid[1])
    )
    builder = (
        builder.valid_principals([name.encode() for name in names])
        if names
        else builder.valid_for_all_principals()
    )
    if critical:
        builder = builder.add_critical_option(*critical)
    return builder.sign(authority).public_bytes().decode()


def _string(part: bytes) -> bytes:
    return len(part).to_bytes(4, "big") + part


def _mpint(number: int) -> bytes:
    return _string(number.to_bytes(number.bit_length() // 8 + 1, "big"))


def ssh_signature(
    key: Any,
    message: bytes,
    *,
    namespace: bytes = b"answerable-enrol",
    public: bytes | None = None,
    hash_name: bytes = b"sha512",
    algorithm: bytes | None = None,
    tail: bytes = b"",
) -> str:
    """As `ssh-keygen -Y sign` writes it."""
    signed = b"SSHSIG" + b"".join(map(_string, (namespace, b"", hash_name, sha512(message).digest())))
    if isinstance(key, ed25519.Ed25519PrivateKey):
        name, value = b"ssh-ed25519", key.sign(signed)
    elif isinstance(key, rsa.RSAPrivateKey):
        name, value = b"rsa-sha2-512", key.sign(signed, padding.PKCS1v15(), hashes.SHA512())
    else:
        sizes = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}
        r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(sizes[key.curve.key_size])))
        name, value = b"ecdsa-sha2-nistp%d" % key.curve.key_size, _mpint(r) + _mpint(s)
    wire = public if public is not None else b64decode(ssh_line(key).split()[1])
    blob = _string(algorithm or name) + _string(value)
    body = b"SSHSIG" + (1).to_bytes(4, "big")
    body += b"".join(map(_string, (wire, namespace, b"", hash_name, blob))) + tail
    return armoured(body)


def armoured(body: bytes) -> str:
    text = b64encode(body).decode()
    lines = "\n".join(text[at : at + 70] for at in range(0, len(text), 70))
    return f"-----BEGIN SSH SIGNATURE-----\n{lines}\n-----END SSH SIGNATURE-----\n"


def ssh_keygen(*arguments: str, cwd: Path, stdin: bytes = b"") -> bytes:
    """Run the real one; skips loudly where it is not installed."""
    found = shutil.which("ssh-keygen")
    if found is None:
        skip_loudly("ssh-keygen", "apt-get install openssh-client", name="ssh-keygen")
    done = subprocess.run(
        [found, *arguments], cwd=cwd, input=stdin, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout

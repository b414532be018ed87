"""Make the attestation documents with which the sidecar enrols. Files are read when needed and not cached."""

from __future__ import annotations

import os
import subprocess
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key, load_pem_private_key

from answerable.core.identity.workload.attestation import DOMAIN_TAG, enrolment_audience, possession_message
from answerable.errors import Unavailable, shown
from answerable.errors.codes.services import (
    SIDECAR_CERTIFICATE,
    SIDECAR_REFERENCE,
    SIDECAR_SSH,
    SIDECAR_UNREADABLE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.sdk.enrolment import Challenge

    Attesting: TypeAlias = Callable[[Challenge, str], Mapping[str, JSONValue]]
    """Takes the server's challenge and the thumbprint of the key to be enrolled."""

FILE_PREFIX: Final = "file:"
FILE_BYTES_MAX: Final = 65_536
SSH_SECONDS_MAX: Final = 20.0
PSS_SALT_BYTES: Final = 32

_CURVE_HASHES: Final = ((256, hashes.SHA256()), (384, hashes.SHA384()))


def by_the_kernel() -> Attesting:
    """Attest by the kernel of the server's machine, which identifies this process. Works over a Unix socket only."""
    return lambda challenge, thumbprint: {"type": "unix"}


def by_join_token(reference: str) -> Attesting:
    """Attest by a join token in a file, `file:PATH`. The token is good once."""
    path = path_of(reference)
    return lambda challenge, thumbprint: {"type": "join_token", "token": _text(path)}


def by_oidc_token(reference: str) -> Attesting:
    """Attest by a token, in a file `file:PATH`, of an issuer that the server trusts."""
    path = path_of(reference)
    return lambda challenge, thumbprint: {"type": "oidc", "token": _text(path)}


def by_certificate(certificate: str, key: str) -> Attesting:
    """Attest by a certificate, followed by its intermediates, and the file of its key, which signs the challenge; all
    PEM."""
    chain_path, key_path = path_of(certificate), path_of(key)

    def shows(challenge: Challenge, thumbprint: str) -> Mapping[str, JSONValue]:
        try:
            chain = x509.load_pem_x509_certificates(_octets(chain_path))
            private = load_pem_private_key(_octets(key_path), password=None)
        except (ValueError, TypeError):
            raise SIDECAR_CERTIFICATE(
                "the certificate or its key cannot be read: both are PEM, the key without a password"
            ) from None
        message = possession_message(challenge.attestation, thumbprint)
        return {
            "type": "x509_pop",
            "chain": [_base64(one.public_bytes(Encoding.DER)) for one in chain],
            "challenge": challenge.attestation,
            "signature": _base64(_signed(private, message)),
        }

    return shows


class ShownSvid(Protocol):
    """An X.509-SVID with its key: chain in DER, leaf first, and PKCS #8."""

    @property
    def chain(self) -> tuple[bytes, ...]: ...
    @property
    def key(self) -> bytes: ...


def by_x509_svid(fetch: Callable[[], ShownSvid]) -> Attesting:
    """Attest by an X.509-SVID of another trust domain, fetched anew each time; its key signs the challenge."""

    def shows(challenge: Challenge, thumbprint: str) -> Mapping[str, JSONValue]:
        svid = fetch()
        message = possession_message(challenge.attestation, thumbprint)
        return {
            "type": "x509_svid",
            "chain": [_base64(one) for one in svid.chain],
            "challenge": challenge.attestation,
            "signature": _base64(_signed(load_der_private_key(svid.key, None), message)),
        }

    return shows


def by_jwt_svid(fetch: Callable[[str], str]) -> Attesting:
    """Attest by a JWT-SVID of another trust domain, fetched anew each time for the enrolment of this key alone."""
    return lambda challenge, thumbprint: {
        "type": "jwt_svid",
        "token": fetch(enrolment_audience(challenge.domain, thumbprint)),
    }


def by_tls() -> Attesting:
    """Attest by the connection's client certificate."""
    return lambda challenge, thumbprint: {"type": "mtls"}


def by_ssh_host_key(reference: str) -> Attesting:
    """Attest by a host key, `file:PATH`, with its certificate `PATH-cert.pub` if present; `ssh-keygen` signs."""
    path = path_of(reference)

    def shows(challenge: Challenge, thumbprint: str) -> Mapping[str, JSONValue]:
        certificate = path.with_name(f"{path.name}-cert.pub")
        public = certificate if certificate.exists() else path.with_name(f"{path.name}.pub")
        identity = _text(public)
        _require_readable(path)
        made = _ssh_signature(path, possession_message(challenge.attestation, thumbprint))
        return {
            "type": "ssh_host_key",
            "challenge": challenge.attestation,
            "identity": identity,
            "signature": made,
        }

    return shows


def _ssh_signature(path: Path, message: bytes) -> str:
    """Sign with `ssh-keygen`, which must not ask for a passphrase: it gets no terminal."""
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", DOMAIN_TAG, "-f", str(path)]
    try:
        made = subprocess.run(
            command,
            input=message,
            capture_output=True,
            check=False,
            timeout=SSH_SECONDS_MAX,
            start_new_session=True,
            env={**os.environ, "SSH_ASKPASS_REQUIRE": "never"},
        )
    except (OSError, subprocess.SubprocessError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "it did not answer in time"
        raise _no_ssh_signature(path, str(reason)) from None
    if made.returncode:
        told = made.stderr.decode("utf-8", "replace").strip().splitlines()
        raise _no_ssh_signature(path, told[-1] if told else "it did not say why")
    return made.stdout.decode("ascii", "replace")


def _no_ssh_signature(path: Path, reason: str) -> Unavailable:
    return SIDECAR_SSH(f"`ssh-keygen -Y sign` did not sign with {shown(path.name)}: {shown(reason, 200)}")


def _signed(key: object, message: bytes) -> bytes:
    match key:
        case rsa.RSAPrivateKey():
            pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=PSS_SALT_BYTES)
            return key.sign(message, pss, hashes.SHA256())
        case ec.EllipticCurvePrivateKey():
            bits = key.curve.key_size
            chosen = next((found for size, found in _CURVE_HASHES if size == bits), hashes.SHA512())
            return key.sign(message, ec.ECDSA(chosen))
        case ed25519.Ed25519PrivateKey():
            return key.sign(message)
        case _:
            raise SIDECAR_CERTIFICATE("the certificate's key is of an unsupported type")


def path_of(reference: str) -> Path:
    """Return the path in a reference; secrets are given by reference, never by value. Raises Malformed
    (`sidecar.reference`)."""
    if not reference.startswith(FILE_PREFIX) or len(reference) == len(FILE_PREFIX):
        raise SIDECAR_REFERENCE(f"expected `file:PATH`, got {shown(reference[:5], 8)}…")
    return Path(reference.removeprefix(FILE_PREFIX))


def _text(path: Path) -> str:
    return _octets(path).decode("ascii", "replace").strip()


def _octets(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(FILE_BYTES_MAX)
    except OSError as error:
        raise _unreadable(path, error) from None


def _require_readable(path: Path) -> None:
    """Check that a file can be read, without reading its content. Raises as reading it would."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> Unavailable:
    return SIDECAR_UNREADABLE(f"{shown(path.name)} cannot be read: {error.strerror}")


def _base64(octets: bytes) -> str:
    return b64encode(octets).decode("ascii")

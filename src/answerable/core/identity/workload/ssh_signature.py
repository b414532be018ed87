"""Parse and verify signatures made with `ssh-keygen -Y sign` (OpenSSH, PROTOCOL.sshsig), and read OpenSSH public keys.

Laws: one key, one namespace, one message; the algorithm follows from the key: Ed25519, ECDSA with the hash of its
curve, RSA with SHA-512 only; trailing bytes anywhere make the input unreadable.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256, sha512
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import ssh

from answerable.errors import Malformed
from answerable.errors.codes.workloads import SSH_ALGORITHM, SSH_MALFORMED, SSH_NAMESPACE, SSH_SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_CHARS_MAX: Final = 16_384
SIGNATURE_CHARS_MAX: Final = 8_192
RSA_BITS_MIN: Final = 2048
RSA_BITS_MAX: Final = 8192

UNREADABLE: Final = (ValueError, UnsupportedAlgorithm, NotImplementedError)
"""What the library raises for octets that are no key; compressed points are not implemented."""

SshKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey

_MAGIC: Final = b"SSHSIG"
_VERSION: Final = 1
_ARMOUR: Final = re.compile(
    r"-----BEGIN SSH SIGNATURE-----\n((?:[A-Za-z0-9+/=]{1,76}\n)+)-----END SSH SIGNATURE-----\n?"
)
_KEY_LINE: Final = re.compile(r"([a-z0-9@.-]{1,64}) ([A-Za-z0-9+/]{1,16000}={0,2})(?: [^\n]{0,255})?\n?")
_HASHES: Final = {b"sha256": sha256, b"sha512": sha512}
_CURVES: Final[Mapping[str, tuple[bytes, hashes.HashAlgorithm]]] = {
    "secp256r1": (b"ecdsa-sha2-nistp256", hashes.SHA256()),
    "secp384r1": (b"ecdsa-sha2-nistp384", hashes.SHA384()),
    "secp521r1": (b"ecdsa-sha2-nistp521", hashes.SHA512()),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SshSignature:
    """A parsed signature, not verified. public: the key in wire format."""

    public: bytes
    namespace: bytes
    reserved: bytes
    hash_name: bytes
    algorithm: bytes
    value: bytes


def read_signature(text: str) -> SshSignature:
    """Parse the armoured form. Raises Malformed (`ssh.malformed`)."""
    found = _ARMOUR.fullmatch(text.replace("\r\n", "\n")) if len(text) <= SIGNATURE_CHARS_MAX else None
    if found is None:
        raise SSH_MALFORMED("expected an armoured SSH signature")
    try:
        rest = b64decode(found[1].replace("\n", ""), validate=True)
    except ValueError:
        raise SSH_MALFORMED("the SSH signature is not base64") from None
    head, rest = rest[:10], rest[10:]
    if head != _MAGIC + _VERSION.to_bytes(4, "big"):
        raise SSH_MALFORMED("the SSH signature is not of version 1")
    (public, namespace, reserved, hash_name, blob), rest = strings(rest, 5)
    (algorithm, value), left = strings(blob, 2)
    if rest or left:
        raise SSH_MALFORMED("bytes are left over in the SSH signature")
    return SshSignature(
        public=public,
        namespace=namespace,
        reserved=reserved,
        hash_name=hash_name,
        algorithm=algorithm,
        value=value,
    )


def check_signature(signature: SshSignature, key: SshKey, *, namespace: str, message: bytes) -> None:
    """Verify a signature by this key; the caller compares `signature.public`.

    Raises Unverified (`ssh.namespace`, `ssh.algorithm`, `ssh.signature`).
    """
    if signature.namespace != namespace.encode("ascii"):
        raise SSH_NAMESPACE()
    digest = _HASHES.get(signature.hash_name)
    if digest is None or signature.algorithm != algorithm_of(key):
        raise SSH_ALGORITHM()
    parts = (signature.namespace, signature.reserved, signature.hash_name, digest(message).digest())
    signed = _MAGIC + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    try:
        _verify(key, signature.value, signed)
    except (InvalidSignature, ValueError):
        raise SSH_SIGNATURE() from None


def algorithm_of(key: SshKey) -> bytes:
    """Return the name of the only signature algorithm that is accepted from this key."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return b"ssh-ed25519"
    if isinstance(key, rsa.RSAPublicKey):
        return b"rsa-sha2-512"
    return _CURVES[key.curve.name][0]


def read_identity(line: str) -> SshKey | ssh.SSHCertificate:
    """Read a public key or certificate in OpenSSH's one-line form. Raises Malformed (`ssh.malformed`)."""
    found = _KEY_LINE.fullmatch(line) if len(line) <= KEY_CHARS_MAX else None
    if found is None:
        raise SSH_MALFORMED("expected an OpenSSH public key or certificate on one line")
    try:
        identity = ssh.load_ssh_public_identity(f"{found[1]} {found[2]}".encode("ascii"))
        if not isinstance(identity, ssh.SSHCertificate):
            return checked_key(identity)
    except UNREADABLE:
        raise SSH_MALFORMED("the OpenSSH public key or certificate cannot be read") from None
    return identity


def checked_key(key: object) -> SshKey:
    """Return the key if its kind and size are accepted. Raises Malformed (`ssh.malformed`) if not."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return key
    if isinstance(key, rsa.RSAPublicKey) and RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
        return key
    raise SSH_MALFORMED("expected an Ed25519, ECDSA or RSA key of at least 2048 bits")


def wire_form(key: SshKey) -> bytes:
    """Return the key in OpenSSH's wire format (RFC 4253, section 6.6)."""
    return wire_of_line(ssh.serialize_ssh_public_key(key))


def wire_of_line(line: bytes) -> bytes:
    """Return the binary part of a one-line public key or certificate that the library wrote."""
    return b64decode(line.split(b" ")[1])


def fingerprint(key: SshKey) -> str:
    """Return the fingerprint as `ssh-keygen -l` prints it: `SHA256:` and base64 without padding."""
    return "SHA256:" + b64encode(sha256(wire_form(key)).digest()).rstrip(b"=").decode("ascii")


def strings(data: bytes, count: int) -> tuple[list[bytes], bytes]:
    """Read `count` length-prefixed strings (RFC 4251, section 5), and return them with the rest. Raises Malformed
    (`ssh.malformed`)."""
    found: list[bytes] = []
    for _ in range(count):
        size = int.from_bytes(data[:4], "big")
        if len(data) < 4 + size:
            raise SSH_MALFORMED("the SSH signature ends too early")
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    return found, data


def _verify(key: SshKey, value: bytes, signed: bytes) -> None:
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(value, signed)
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(value, signed, padding.PKCS1v15(), hashes.SHA512())
    else:
        try:
            (r, s), rest = strings(value, 2)
        except Malformed:
            raise InvalidSignature from None
        if rest:
            raise InvalidSignature
        numbers = (int.from_bytes(r, "big", signed=True), int.from_bytes(s, "big", signed=True))
        key.verify(encode_dss_signature(*numbers), signed, ec.ECDSA(_CURVES[key.curve.name][1]))

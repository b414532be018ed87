"""Sign user certificates as the authority that hosts trust.

Laws: a certificate has one principal, a forced command, source addresses and an expiry; it has no extensions, so it
permits no terminal, forwarding, agent or user rc file.
"""

from __future__ import annotations

import os
import stat
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import SSHCertificateBuilder, SSHCertificateType

from answerable.errors.codes.leases import TARGET_AUTHORITY
from answerable.plain_file import open_plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE_BYTES_MAX: Final = 16_384
FILE_MODE: Final = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """The content of a certificate. starts_at, ends_at: Unix seconds; valid before ends_at, not at it."""

    key_id: str
    serial: int
    principal: str
    starts_at: int
    ends_at: int
    forced_command: str
    source_addresses: tuple[str, ...]


class UserAuthority:
    """A certificate authority. Its key stays in memory for the object's lifetime."""

    def __init__(self, key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        self.public_line = (
            key.public_key()
            .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
            .decode()
        )
        self.fingerprint = fingerprint(self.public_line)

    def certify(self, holder: ed25519.Ed25519PublicKey, ordered: Ordered) -> str:
        """Return the certificate in OpenSSH's one-line format."""
        builder = (
            SSHCertificateBuilder()
            .type(SSHCertificateType.USER)
            .public_key(holder)
            .serial(ordered.serial)
            .key_id(ordered.key_id.encode())
            .valid_principals([ordered.principal.encode()])
            .valid_after(ordered.starts_at)
            .valid_before(ordered.ends_at)
            .add_critical_option(b"force-command", ordered.forced_command.encode())
            .add_critical_option(b"source-address", ",".join(ordered.source_addresses).encode())
        )
        return builder.sign(self._key).public_bytes().decode()


def authority_of(content: bytes) -> UserAuthority:
    """Load a private key, Ed25519 or ECDSA, in OpenSSH or PKCS #8 format. Raises Unavailable."""
    for load in (serialization.load_ssh_private_key, serialization.load_pem_private_key):
        try:
            key = load(content, password=None)
        except (ValueError, TypeError):
            continue
        if isinstance(key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
            return UserAuthority(key)
    raise TARGET_AUTHORITY(
        "the key of the SSH authority must be an Ed25519 or ECDSA private key without "
        "passphrase: create one with `ssh-keygen -t ed25519`, or set `ca_key_file` to a path "
        "where one can be created"
    )


def open_or_create_authority(path: Path, *, token: Callable[[], str]) -> UserAuthority:
    """Load the key in this file. If there is none, create one, complete and on stable storage; racing processes get the
    same key.

    token: names for drafts. Raises Unavailable (`target.authority`), also for a file that others can read.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _create(path, path.with_name(f".{path.name}.{token()}"))
        with open_plain(path, follow=False) as opened:
            status = os.fstat(opened.fileno())
            content = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        message = f"the key `{path.name}` of the SSH authority cannot be made or read: "
        message += (error.strerror or "unknown fault").lower()
        raise TARGET_AUTHORITY(message) from None
    if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.geteuid():
        message = (
            f"the key `{path.name}` of the SSH authority must belong to the broker's user and have mode 0600"
        )
        raise TARGET_AUTHORITY(message)
    return authority_of(content)


def fingerprint(public_line: str) -> str:
    """Return the fingerprint as sshd logs it: `SHA256:` and base64 without padding."""
    return "SHA256:" + b64encode(sha256(blob_of(public_line)).digest()).decode().rstrip("=")


def blob_of(public_line: str) -> bytes:
    """Decode the second word of a public key's or certificate's line."""
    return b64decode(public_line.split()[1])


def _create(path: Path, draft: Path) -> None:
    content = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    with open(descriptor, "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    try:
        # A link, unlike a rename, never replaces a file that another process created meanwhile.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)

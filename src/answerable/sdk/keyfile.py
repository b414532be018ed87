"""Create and read key files: one private JWK (RFC 7517) in a file that only its owner can read.

Laws: a key file is never overwritten, never written in part, and never read if another user could have read it.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import encode
from answerable.core.identity.keys.keys import SigningKey, new_private_jwk
from answerable.errors import Malformed, shown
from answerable.errors.codes.identity import (
    KEY_CONTENT,
    KEY_EXISTS,
    KEY_EXPOSED,
    KEY_MISSING,
    KEY_SIZE,
    KEY_UNREADABLE,
    KEY_UNWRITABLE,
)
from answerable.plain_file import open_plain

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from answerable.core.identity.keys.keys import Algorithm

FILE_BYTES_MAX: Final = 4096
_MODE: Final = 0o600
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_SUFFIX_BYTES: Final = 8


def create_key(path: Path, *, seed: bytes, algorithm: Algorithm = "ed25519") -> SigningKey:
    """Create a key from `SEED_BYTES[algorithm]` new random bytes and write it to a new file of mode 0600.

    The file appears complete and on stable storage, or not at all. Raises Unavailable: `key.exists`, `key.unwritable`.
    """
    jwk = new_private_jwk(algorithm, seed)
    key = SigningKey(jwk)
    # The draft's name must differ between concurrent processes, and must not reveal the secret.
    unfinished = path.with_name(f".{path.name}.{key.public.thumbprint[:_SUFFIX_BYTES]}")
    try:
        _write_new(unfinished, encode(jwk) + b"\n")
        try:
            # A link, unlike a rename, fails if the name is taken: so concurrent processes never overwrite each other's
            # key.
            os.link(unfinished, path)
        finally:
            os.unlink(unfinished)
        _sync_directory(path.parent)
    except FileExistsError:
        raise KEY_EXISTS(f"key file {shown(path.name)} already exists and is never overwritten") from None
    except OSError as error:
        raise KEY_UNWRITABLE(f"key file {shown(path.name)} cannot be written: {error.strerror}") from None
    return key


def load_key(path: Path) -> SigningKey:
    """Read a key file.

    Raises Unavailable: `key.missing`, `key.unreadable`, `key.exposed` if other users may read or write the file or
    another user owns it; Malformed (`key.*`, `json.*`) for its content, which no message displays.
    """
    try:
        opened = open_plain(path)
    except FileNotFoundError:
        raise KEY_MISSING(f"key file {shown(path.name)} does not exist") from None
    except OSError as error:
        raise KEY_UNREADABLE(f"key file {shown(path.name)} cannot be read: {error.strerror}") from None
    with opened:
        content = _checked_content(opened, path)
    if len(content) > FILE_BYTES_MAX:
        raise KEY_SIZE(
            f"key file {shown(path.name)} has more than {FILE_BYTES_MAX} bytes, so it is not a key file"
        )
    try:
        return SigningKey(content.decode("ascii"))
    except UnicodeDecodeError:
        raise KEY_CONTENT(
            f"key file {shown(path.name)} is not ASCII, so it is not a key file: restore it from a backup"
        ) from None
    except Malformed as fault:
        raise Malformed(
            (
                f"key file {shown(path.name)} is damaged or not a key file, restore it from a backup: "
                f"{fault.message}"
            ),
            code=fault.code,
        ) from None


def public_jwk(key: SigningKey) -> str:
    """Return the public key as canonical JSON, for registration."""
    return key.public.jwk


def _checked_content(opened: BinaryIO, path: Path) -> bytes:
    """Read the content after checking the open file rather than its name, which could change in between."""
    status = os.fstat(opened.fileno())
    if status.st_mode & _OTHERS or status.st_uid not in (os.geteuid(), 0):
        mode = stat.S_IMODE(status.st_mode)
        raise KEY_EXPOSED(
            f"key file {shown(path.name)} has mode {mode:04o} and owner {status.st_uid}, expected "
            "0600 and the user of this process: treat the key as disclosed"
        )
    return opened.read(FILE_BYTES_MAX + 1)


def _write_new(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, _MODE)
    try:
        # The umask can only remove bits, and could remove the owner's.
        os.fchmod(descriptor, _MODE)
        written = 0
        while written < len(content):
            written += os.write(descriptor, content[written:])
        os.fsync(descriptor)
    except BaseException:
        with suppress(OSError):
            os.unlink(path)
        raise
    finally:
        os.close(descriptor)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

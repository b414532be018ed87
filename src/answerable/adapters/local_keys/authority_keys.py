"""Store the trust domain's private keys as files: PKCS #8 in PEM, mode 0600, in a directory of mode 0700.

Laws: a key file is never overwritten; it appears complete and on stable storage, or not at all; it is not read if
another user could have read it. A crash can leave only a draft, which nothing reads and `destroy` removes.
"""

from __future__ import annotations

import os
import re
import stat
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from answerable.errors import shown
from answerable.errors.codes.identity import (
    AUTHORITY_KEYS_EXISTS,
    AUTHORITY_KEYS_EXPOSED,
    AUTHORITY_KEYS_MISSING,
    AUTHORITY_KEYS_NAME,
    AUTHORITY_KEYS_UNAVAILABLE,
    AUTHORITY_KEYS_UNREADABLE,
)
from answerable.plain_file import open_plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_BYTES_MAX: Final = 4096
DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600
NAME: Final = re.compile(r"[a-z0-9-]{1,64}")
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_SHA256: Final = ec.ECDSA(hashes.SHA256())


class LocalAuthorityKeys:
    """Implements ports.authority_keys.AuthorityKeys. Created by `open`; several processes may share a directory.

    A deleted key may remain on the storage medium; use an HSM if that matters.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._known: dict[str, tuple[tuple[int, int, int], ec.EllipticCurvePrivateKey]] = {}

    @classmethod
    def open(cls, directory: Path) -> LocalAuthorityKeys:
        """Open the directory of the keys, and create it if it does not exist.

        Raises Unavailable: `authority_keys.unavailable`; `authority_keys.exposed` if other users may enter it.
        """
        with _faults("the directory of the trust domain's keys cannot be opened"):
            if not directory.exists():
                directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
                _sync_directory(directory.parent)
            _require_private(os.stat(directory), directory.name)
        return cls(directory)

    def create(self, name: str) -> ec.EllipticCurvePublicKey:
        path, draft = self._paths(name)
        key = ec.generate_private_key(ec.SECP256R1())
        with _faults(f"the key {shown(name)} cannot be written"):
            try:
                if path.exists():
                    raise FileExistsError
                _write_new(draft, _pem(key))
                try:
                    # A link, unlike a rename, never replaces an existing file.
                    os.link(draft, path)
                finally:
                    os.unlink(draft)
                _sync_directory(self._directory)
            except FileExistsError:
                message = f"key {shown(name)} or its draft exists already"
                raise AUTHORITY_KEYS_EXISTS(message) from None
        return key.public_key()

    def public(self, name: str) -> ec.EllipticCurvePublicKey | None:
        """Return the public key; None if there is no key. Raises Unavailable (`authority_keys.unreadable`,
        `authority_keys.exposed`)."""
        key = self._key(name)
        return None if key is None else key.public_key()

    def sign(self, name: str, message: bytes) -> bytes:
        key = self._key(name)
        if key is None:
            raise AUTHORITY_KEYS_MISSING(
                f"the key {shown(name)} of the trust domain is missing: restore it from a backup"
            )
        return key.sign(message, _SHA256)

    def destroy(self, name: str) -> None:
        with _faults(f"the key {shown(name)} cannot be removed"):
            for path in self._paths(name):
                path.unlink(missing_ok=True)
            _sync_directory(self._directory)
        with self._lock:
            self._known.pop(name, None)

    def _key(self, name: str) -> ec.EllipticCurvePrivateKey | None:
        """Return the key, cached by file. A key whose file was removed, by any process, no longer signs."""
        path, _ = self._paths(name)
        with _faults(f"the key {shown(path.name)} cannot be read"):
            try:
                status = os.stat(path, follow_symlinks=False)
            except FileNotFoundError:
                with self._lock:
                    self._known.pop(name, None)
                return None
            file = (status.st_dev, status.st_ino, status.st_mtime_ns)
            with self._lock:
                known = self._known.get(name)
                if known is None or known[0] != file:
                    known = self._known[name] = file, _read(path)
                return known[1]

    def _paths(self, name: str) -> tuple[Path, Path]:
        if not NAME.fullmatch(name):
            raise AUTHORITY_KEYS_NAME(f"{shown(name)} is not a key name: use 1 to 64 of a-z 0-9 -")
        return self._directory / f"{name}.pem", self._directory / f".{name}.draft"


def _read(path: Path) -> ec.EllipticCurvePrivateKey:
    with open_plain(path, follow=False) as opened:
        _require_private(os.fstat(opened.fileno()), path.name)
        content = opened.read(FILE_BYTES_MAX + 1)
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        message = f"`{path.name}` is not a private key on P-256 in PEM: restore it from a backup"
        raise AUTHORITY_KEYS_UNREADABLE(message)
    return key


def _require_private(status: os.stat_result, name: str) -> None:
    if status.st_mode & _OTHERS or status.st_uid != os.geteuid():
        message = (
            f"{shown(name)} must belong to the server's user and be closed to all others: "
            "set mode 0700, files 0600"
        )
        raise AUTHORITY_KEYS_EXPOSED(message)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write_new(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    with open(os.open(path, flags, FILE_MODE), "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _faults(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise AUTHORITY_KEYS_UNAVAILABLE(f"{what}: {(error.strerror or 'unknown fault').lower()}") from None

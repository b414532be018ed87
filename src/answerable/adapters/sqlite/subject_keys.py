"""Store subject keys in an SQLite file of their own, so that they can be backed up and destroyed separately from the
log.

Secrets are wrapped under a root key that is not in the file, and subjects are stored as HMACs under that key: the file
alone decrypts nothing and names nobody.
"""

from __future__ import annotations

import hmac
import sqlite3
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from answerable.adapters.sqlite.reader import SqliteReader
from answerable.adapters.sqlite.store import SqliteStore
from answerable.adapters.sqlite.unreadable import UnreadableRows
from answerable.core.ledger.subject_key import KEY_ID_BYTES, NONCE_BYTES, SECRET_BYTES, SubjectKey
from answerable.errors import Malformed, Unavailable
from answerable.errors.codes.identity import KEY_MALFORMED
from answerable.errors.codes.ledger import SUBJECT_KEYS_CORRUPT

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

    from answerable.ports.entropy import Entropy

Name = TypeVar("Name")

ROOT_BYTES: Final = 32
ROWS_TRIED: Final = 64
"""Rows tried when checking the root key, since some rows may be damaged."""
_WHAT: Final = "subject key"
CACHED_MAX: Final = 8192
"""Keys cached in memory; the least recently used one is dropped first."""
APPLICATION_ID: Final = 0x616E736B
"""`ansk`: distinguishes this file from the registers' file."""
MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """CREATE TABLE subject_keys (
            id BLOB PRIMARY KEY, subject BLOB NOT NULL UNIQUE, wrapped BLOB NOT NULL
        ) STRICT, WITHOUT ROWID""",
    ),
)
"""One tuple of statements for each schema version, from 1 on. Never edited, only appended to."""


class StoredSubjectKeys:
    """The keys in a file, for reading. Created by `open_beside`, ended by `close`; thread-safe."""

    def __init__(self, file: SqliteStore | SqliteReader, unreadable: UnreadableRows, root: bytes) -> None:
        self._file = file
        self._unreadable = unreadable
        self._wrapping = AESGCM(_derived(root, b"answerable subject keys: wrapping"))
        self._naming = _derived(root, b"answerable subject keys: naming")
        self._by_subject: OrderedDict[str, SubjectKey] = OrderedDict()
        self._by_id: OrderedDict[bytes, SubjectKey] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def open_beside(cls, path: Path, *, root: bytes) -> StoredSubjectKeys:
        """Open an existing file over a connection that cannot write, beside the process that has it. Raises Unavailable
        as `SqliteSubjectKeys.open`."""
        reader = SqliteReader(path)
        keys = cls(reader, UnreadableRows(), root)
        try:
            keys._check_root()
        except Unavailable:
            reader.close()
            raise
        return keys

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def version(self) -> int:
        """Return a number that changes with each change of the file by another process. Raises Unavailable
        (`register.*`)."""
        return int(str(self._file.rows("PRAGMA data_version")[0][0]))

    def known(self, subject: str) -> SubjectKey | None:
        """Return the subject's key; None when there is none. Raises Unavailable (`register.*`,
        `subject_keys.corrupt`)."""
        with self._lock:
            return self._by_subject.get(subject) or self._read("subject", self._name(subject))

    def ids(self) -> frozenset[bytes]:
        """Return the ids of all keys, those in unreadable rows included. Raises Unavailable (`register.*`)."""
        rows = self._file.rows("SELECT id FROM subject_keys")
        return frozenset(one for (one,) in rows if isinstance(one, bytes))

    def find(self, key_id: bytes) -> SubjectKey | None:
        """Return the key of this id, as attachments name it; None when unknown, destroyed, or unreadable."""
        with self._lock:
            found = self._by_id.get(key_id) or self._readable(key_id)
            return _kept(self._by_id, key_id, found) if found is not None else None

    def forget_destroyed(self, ids: Container[bytes]) -> None:
        """Drop from memory the keys that another process has destroyed. ids: of all keys that there are."""
        with self._lock:
            for key_id in [one for one in self._by_id if one not in ids]:
                del self._by_id[key_id]

    def _name(self, subject: str) -> bytes:
        return hmac.digest(self._naming, subject.encode("utf-8", "surrogatepass"), "sha256")

    def _readable(self, key_id: bytes) -> SubjectKey | None:
        """Return a key; None also for an unreadable row, as for a destroyed key: nobody can decrypt its data."""
        found = self._rows("id", key_id)
        return next(self._unreadable.each(_WHAT, found, lambda row: self._unwrapped(*row)), None)

    def _check_root(self) -> None:
        """Check that at least one row decrypts. One damaged row does not prove another root key; only if none decrypts,
        the root key is another one."""
        first = self._file.rows("SELECT id, subject, wrapped FROM subject_keys LIMIT ?", (ROWS_TRIED,))
        if first and not any(self._unreadable.each(_WHAT, first, lambda row: self._unwrapped(*row))):
            raise _corrupt()

    def _read(self, column: str, value: bytes) -> SubjectKey | None:
        rows = self._rows(column, value)
        return self._unwrapped(*rows[0]) if rows else None

    def _rows(self, column: str, value: bytes) -> list[tuple[object, ...]]:
        query = f"SELECT id, subject, wrapped FROM subject_keys WHERE {column} = ?"  # noqa: S608 - our own two names
        return self._file.rows(query, (value,))

    def _unwrapped(self, key_id: object, name: object, wrapped: object) -> SubjectKey:
        """Decrypt a key. Its id and subject are authenticated, so that a writer of the file cannot swap keys between
        subjects."""
        if not isinstance(key_id, bytes) or not isinstance(name, bytes) or not isinstance(wrapped, bytes):
            raise _corrupt()
        try:
            secret = self._wrapping.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], key_id + name)
            return SubjectKey(id=key_id, secret=secret)
        except (InvalidTag, ValueError, Malformed):
            raise _corrupt() from None


class SqliteSubjectKeys(StoredSubjectKeys):
    """Implements ports.subject_keys.SubjectKeys. Created by `open`, ended by `close`."""

    def __init__(self, store: SqliteStore, *, root: bytes, entropy: Entropy) -> None:
        super().__init__(store, store.unreadable, root)
        self._store = store
        self._entropy = entropy

    @classmethod
    def open(cls, path: Path, *, root: bytes, entropy: Entropy) -> SqliteSubjectKeys:
        """Open or create the file. root: ROOT_BYTES, stored separately.

        Raises Unavailable (`register.*` for the file, `subject_keys.corrupt` for another root key).
        """
        store = SqliteStore.open(path, migrations=MIGRATIONS, application_id=APPLICATION_ID)
        keys = cls(store, root=root, entropy=entropy)
        try:
            keys._check_root()
        except Unavailable:
            store.close()
            raise
        return keys

    def of(self, subject: str) -> SubjectKey:
        # Timelines are computed in separate threads.
        with self._lock:
            found = self._by_subject.get(subject)
            if found is not None:
                self._by_subject.move_to_end(subject)
                return found
            name = self._name(subject)
            return _kept(self._by_subject, subject, self._read("subject", name) or self._made(name))

    def _made(self, name: bytes) -> SubjectKey:
        """Create a key, durable on return. Of two racing processes, both get the same key."""
        key_id, secret = self._entropy.bytes(KEY_ID_BYTES), self._entropy.bytes(SECRET_BYTES)
        nonce = self._entropy.bytes(NONCE_BYTES)
        wrapped = nonce + self._wrapping.encrypt(nonce, secret, key_id + name)
        with self._store.write() as connection:
            try:
                connection.execute(
                    "INSERT INTO subject_keys (id, subject, wrapped) VALUES (?, ?, ?)",
                    (key_id, name, wrapped),
                )
                return SubjectKey(id=key_id, secret=secret)
            except sqlite3.IntegrityError:
                pass
        found = self._read("subject", name)
        if found is None:
            raise _corrupt()
        return found


def _kept(known: OrderedDict[Name, SubjectKey], name: Name, key: SubjectKey) -> SubjectKey:
    known[name] = key
    known.move_to_end(name)
    if len(known) > CACHED_MAX:
        known.popitem(last=False)
    return key


def _derived(root: bytes, label: bytes) -> bytes:
    if len(root) != ROOT_BYTES:
        raise KEY_MALFORMED(f"the root key of subjects has {len(root)} bytes, expected {ROOT_BYTES}")
    return HKDF(algorithm=SHA256(), length=ROOT_BYTES, salt=None, info=label).derive(root)


def _corrupt() -> Unavailable:
    message = "the subject keys cannot be opened: they were changed, or sealed with another root key"
    return SUBJECT_KEYS_CORRUPT(message)

"""Manage the file of keys that seal secrets: the first key seals, all of them open.

Each line is one AES-256 key, in base64. The file has more than one line only while a change of keys is under way.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.adapters.secret_store.files import (
    DIRECTORY_MODE,
    faults,
    locked,
    read_private,
    replace_private,
)
from answerable.errors import shown
from answerable.errors.codes.leases import SECRETS_KEYRING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from answerable.ports.entropy import Entropy

KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 8
KEYS_MAX: Final = 8
FILE_BYTES_MAX: Final = 1_024
_LINE: Final = re.compile(rb"[A-Za-z0-9+/]{43}=")
_ID_CONTEXT: Final = b"answerable secret key id\0"


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys, the sealing one first. `repr` shows only their ids."""

    ordered: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"Keys({', '.join(key_id(one).hex() for one in self.ordered)})"

    @property
    def sealing(self) -> bytes:
        """The key that seals."""
        return self.ordered[0]

    def named(self, identity: bytes) -> bytes | None:
        """Return the key with this id."""
        return next((one for one in self.ordered if key_id(one) == identity), None)


class Keyring:
    """A keyring file. It may be on another medium than the secrets, such as one that a machine receives at boot."""

    def __init__(self, path: Path, entropy: Entropy) -> None:
        self._path = path
        self._entropy = entropy

    def keys(self, *, creates: bool = False) -> Keys:
        """Read the keys. creates: create the file if it does not exist. Raises Unavailable (`secrets.keyring`,
        `secrets.exposed`, `secrets.unavailable`)."""
        content = read_private(self._path, FILE_BYTES_MAX)
        if content is None and creates:
            with faults("the directory of the keyring cannot be made"):
                self._path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            with self._locked():
                content = read_private(self._path, FILE_BYTES_MAX)
                if content is None:
                    content = _text((self._entropy.bytes(KEY_BYTES),))
                    replace_private(self._path, content, self._entropy.token)
        if content is None:
            raise SECRETS_KEYRING(
                f"the keyring {shown(self._path.name)} is missing: restore it from a backup, "
                "because no secret can be opened without it"
            )
        lines = content.split()
        if not 1 <= len(lines) <= KEYS_MAX or not all(_LINE.fullmatch(one) for one in lines):
            raise SECRETS_KEYRING(
                f"the keyring {shown(self._path.name)} is not valid: expected lines of 32 bytes "
                "in base64, the first of which seals"
            )
        return Keys(tuple(b64decode(one) for one in lines))

    def begin_change(self) -> Keys:
        """Add a new key in front. If an earlier change was interrupted, return its keys instead."""
        before = self.keys().ordered
        if len(before) > 1:
            return Keys(before)
        keys = (self._entropy.bytes(KEY_BYTES), *before)
        with self._locked():
            replace_private(self._path, _text(keys), self._entropy.token)
        return Keys(keys)

    def end_change(self) -> None:
        """Remove all keys but the first."""
        with self._locked():
            replace_private(self._path, _text(self.keys().ordered[:1]), self._entropy.token)

    def _locked(self) -> AbstractContextManager[None]:
        return locked(self._path.parent, f".{self._path.name}.lock", self._path.name)


def key_id(key: bytes) -> bytes:
    """Return the id that a sealed file uses for its key. It reveals nothing about the key."""
    return sha256(_ID_CONTEXT + key).digest()[:KEY_ID_BYTES]


def _text(keys: tuple[bytes, ...]) -> bytes:
    return b"".join(b64encode(one) + b"\n" for one in keys)

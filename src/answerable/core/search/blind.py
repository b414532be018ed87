"""Keyed digests of sealed values, by which the index finds them without containing them (blind index).

Laws: without the key a digest says only whether two values are equal; the key is derived from the root key of the
subject keys, so whoever can decrypt entries can search them, and nobody else; a digest is short, so a hit is confirmed
by opening its entry.
"""

from __future__ import annotations

import hmac
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

DIGEST_BYTES: Final = 8
_LABEL: Final = b"answerable search index"
_KEY_BYTES: Final = 32


class BlindKey:
    """The key of one index. The repr contains nothing of it."""

    __slots__ = ("_key",)

    def __init__(self, root: bytes) -> None:
        """root: the root key of the subject keys."""
        self._key = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=_LABEL).derive(root)

    def __repr__(self) -> str:
        return "BlindKey()"

    def digest(self, field: str, value: str) -> bytes:
        """Return the digest of a value of this field; equal values of two fields have unequal digests."""
        text = b"%b\0%b" % (field.encode(), value.encode("utf-8", "surrogatepass"))
        return hmac.digest(self._key, text, "sha256")[:DIGEST_BYTES]

    def place_check(self, index: int, hashed: bytes) -> int:
        """Return the check of where an entry with this leaf hash begins, 32 bits."""
        return int.from_bytes(hmac.digest(self._key, b"place\0%d\0%b" % (index, hashed), "sha256")[:4])

    @property
    def check(self) -> str:
        """A value by which an index recognises the key it was made with."""
        return self.digest("", "").hex()

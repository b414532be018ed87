"""The encryption key of one data subject, which seals that person's data in entries (envelope encryption).

Laws:
- without the key neither fields nor salts can be read, and no pseudonym can be guessed; destroying it erases them;
- a data key encrypts one attachment, so its nonce may be zero; it is wrapped under the subject key with a random nonce.

AES-256-GCM with random 96-bit nonces: one subject key may wrap 2**32 data keys (NIST SP 800-38D, section 8.3).
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from answerable.errors.codes.ledger import LEDGER_ENVELOPE, LEDGER_ENVELOPE_UNVERIFIED, LEDGER_SUBJECT_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY_ID_BYTES: Final = 16
SECRET_BYTES: Final = 32
DATA_KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
ENVELOPE_VERSION: Final = b"\x02"
SECTIONS_VERSION: Final = b"\x03"
ENVELOPE_HEAD_BYTES: Final = 1 + KEY_ID_BYTES + NONCE_BYTES + DATA_KEY_BYTES + TAG_BYTES

_CONTEXT: Final = b"answerable ledger v2\n"
_PSEUDONYMS: Final = b"answerable ledger pseudonyms v2"
_ZERO_NONCE: Final = bytes(NONCE_BYTES)
_INNER: Final = bytes(one ^ 0x36 for one in range(256))
_OUTER: Final = bytes(one ^ 0x5C for one in range(256))


class SubjectKey:
    """The encryption key of one data subject. id: KEY_ID_BYTES that name the key and reveal nothing about the subject.
    The repr contains only the id."""

    __slots__ = ("_associated", "_head", "_inner", "_outer", "_wrapping", "id")

    def __init__(self, *, id: bytes, secret: bytes) -> None:
        """secret: SECRET_BYTES random bytes. Raises Malformed (`ledger.subject_key`) for other lengths."""
        if len(id) != KEY_ID_BYTES or len(secret) != SECRET_BYTES:
            raise LEDGER_SUBJECT_KEY()
        self.id = id
        self._wrapping = AESGCM(secret)
        pseudonyms = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PSEUDONYMS).derive(secret)
        # The two hashes of HMAC-SHA-256 with their keyed blocks (RFC 2104): to set one up costs more than to use it.
        padded = pseudonyms.ljust(64, b"\0")
        self._inner = sha256(padded.translate(_INNER))
        self._outer = sha256(padded.translate(_OUTER))
        self._associated = _CONTEXT + id
        self._head = ENVELOPE_VERSION + id

    def __repr__(self) -> str:
        return f"SubjectKey({self.id.hex()})"

    def sealed(self, plaintext: bytes, *, data_key: bytes, nonce: bytes) -> bytes:
        """Build the attachment that encrypts `plaintext`. data_key, nonce: DATA_KEY_BYTES and NONCE_BYTES, random, used
        once."""
        associated = self._associated
        sealed = AESGCM(data_key).encrypt(_ZERO_NONCE, plaintext, associated)
        return self._head + nonce + self._wrapping.encrypt(nonce, data_key, associated) + sealed

    def opened(self, attachment: bytes) -> bytes:
        """Decrypt an attachment.

        Raises Malformed (`ledger.envelope`), or Unverified (likewise) when it belongs to another subject or was
        changed.
        """
        if key_id_of(attachment) != self.id:
            raise LEDGER_ENVELOPE_UNVERIFIED("the attachment is another subject's")
        start = 1 + KEY_ID_BYTES
        nonce, wrapped = (
            attachment[start : start + NONCE_BYTES],
            attachment[start + NONCE_BYTES : ENVELOPE_HEAD_BYTES],
        )
        try:
            data_key = self._wrapping.decrypt(nonce, wrapped, self._associated)
            return AESGCM(data_key).decrypt(_ZERO_NONCE, attachment[ENVELOPE_HEAD_BYTES:], self._associated)
        except InvalidTag:
            raise LEDGER_ENVELOPE_UNVERIFIED("the attachment was changed") from None

    def pseudonym(self, label: bytes, value: bytes) -> str:
        """Return a pseudonym for `value` that nobody without the key can guess; deterministic, hex."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(label + b"\n" + value)
        outer.update(inner.digest())
        return outer.hexdigest()


def joined_sections(sections: Sequence[bytes]) -> bytes:
    """Join version 2 attachments, each under its own subject's key, into one of version 3."""
    return b"".join((SECTIONS_VERSION, *(len(one).to_bytes(4) + one for one in sections)))


def sections_of(attachment: bytes) -> tuple[bytes, ...]:
    """Split an attachment into its version 2 attachments; one of version 2 is returned alone.

    Raises Malformed (`ledger.envelope`) for one of another form.
    """
    if not attachment.startswith(SECTIONS_VERSION):
        key_id_of(attachment)
        return (attachment,)
    found: list[bytes] = []
    at = 1
    while at < len(attachment):
        end = at + 4 + int.from_bytes(attachment[at : at + 4])
        found.append(attachment[at + 4 : end])
        key_id_of(found[-1])
        at = end
    if at != len(attachment) or not found:
        raise LEDGER_ENVELOPE("the sections do not end where they should")
    return tuple(found)


def key_id_of(attachment: bytes) -> bytes:
    """Return the id of the subject key that decrypts the attachment. Raises Malformed (`ledger.envelope`) for one of
    another form."""
    if len(attachment) < ENVELOPE_HEAD_BYTES + TAG_BYTES or attachment[:1] != ENVELOPE_VERSION:
        raise LEDGER_ENVELOPE("not an attachment of version 2")
    return attachment[1 : 1 + KEY_ID_BYTES]

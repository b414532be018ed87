"""Read, verify and sign notes (C2SP signed-note): a text, a blank line, signature lines.

Laws:
- what parses is written back byte for byte: text, signatures and their order;
- signatures by unknown keys are ignored; a bad signature by a known key rejects the note, and so does the lack of any
 good signature by a known key; both raise `Unverified`;
- this module never holds private keys: the caller passes in a signing function.

`Note.verify` checks signatures of a log: Ed25519 (type 0x01) over any text, ML-DSA-44 (type 0x06) over the text of a
checkpoint. `cosignature.verified_cosignatures` checks cosignatures. Keys of other types parse, so that a file of keys
can contain them, and their signatures count as unknown.

Verification of Ed25519 is that of RFC 8032 without the cofactor, as in OpenSSL. Keys that are not canonical or of small
order are refused when read, since one signature under such a key can fit many texts.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from answerable.core.tlog.cosigned import (
    TIMESTAMP_BYTES,
    ed25519_cosigned_text,
    ml_dsa_44_signed_text,
    tree_head_of,
)
from answerable.core.tlog.key_name import require_key_name
from answerable.core.tlog.text import base64_decoded, require_text
from answerable.errors import Malformed, shown
from answerable.errors.codes.tlog import (
    NOTE_KEY,
    NOTE_KEY_AMBIGUOUS,
    NOTE_KEY_ID,
    NOTE_KEY_TYPE,
    NOTE_KEY_UNSOUND,
    NOTE_SIGNATURE_BAD,
    NOTE_SIGNATURE_COUNT,
    NOTE_SIGNATURE_LENGTH,
    NOTE_SIGNATURE_LINE,
    NOTE_SIGNATURE_UNSUPPORTED,
    NOTE_SIZE,
    NOTE_UNSIGNED,
)

ED25519: Final = 0x01
ED25519_COSIGNATURE: Final = 0x04
ML_DSA_44_COSIGNATURE: Final = 0x06

LOG_KINDS: Final = (ED25519, ML_DSA_44_COSIGNATURE)
"""Types of signatures with which a log signs its checkpoints."""
COSIGNATURE_KINDS: Final = (ED25519_COSIGNATURE, ML_DSA_44_COSIGNATURE)
"""Types of signatures with a timestamp, with which witnesses sign."""

NOTE_BYTES_MAX: Final = 1_000_000
SIGNATURES_MAX: Final = 64
"""Most signature lines in one note; C2SP requires support for at least 16."""
KEY_ID_BYTES: Final = 4
ED25519_KEY_BYTES: Final = 32
ED25519_SIGNATURE_BYTES: Final = 64
ML_DSA_44_KEY_BYTES: Final = 1312
ML_DSA_44_SIGNATURE_BYTES: Final = 2420

_KINDS_WITH_DERIVED_ID: Final = (ED25519, ED25519_COSIGNATURE, ML_DSA_44_COSIGNATURE)
_SIGNATURE_LINE: Final = "— "

_FIELD_PRIME: Final = 2**255 - 19
# The y coordinates of the eight points of small order: orders 4, 1, 2, and the two of order 8.
_SMALL_ORDER_Y: Final = frozenset(
    {
        0,
        1,
        _FIELD_PRIME - 1,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """A public key with the name it signs under: `name`, 4-byte `key_id`, signature type `kind`, `public` bytes.

    Name and key id together identify it. Raises Malformed if the parts do not fit together.
    """

    name: str
    key_id: bytes
    kind: int
    public: bytes

    def __post_init__(self) -> None:
        require_key_name(self.name)
        if len(self.key_id) != KEY_ID_BYTES:
            raise NOTE_KEY_ID(f"key id of {len(self.key_id)} bytes, expected 4")
        if not 0 <= self.kind <= 0xFF or not self.public:
            raise NOTE_KEY("verifier key without a type and public bytes")
        if self.kind in (ED25519, ED25519_COSIGNATURE):
            _require_sound_ed25519(self.public)
        if self.kind == ML_DSA_44_COSIGNATURE and len(self.public) != ML_DSA_44_KEY_BYTES:
            raise NOTE_KEY_UNSOUND(
                f"ml-dsa-44 public key of {len(self.public)} bytes, expected {ML_DSA_44_KEY_BYTES}"
            )
        if self.kind in _KINDS_WITH_DERIVED_ID and self.key_id != key_id(self.name, self.kind, self.public):
            raise NOTE_KEY_ID(f"key id of {shown(self.name)} does not match its key")

    @classmethod
    def ed25519(cls, name: str, public: bytes) -> VerifierKey:
        """Make a key of type 0x01 with this name, for a log; its id is derived."""
        return cls._derived(name, ED25519, public)

    @classmethod
    def ed25519_cosignature(cls, name: str, public: bytes) -> VerifierKey:
        """Make a key of type 0x04 with this name, for a witness; its id is derived."""
        return cls._derived(name, ED25519_COSIGNATURE, public)

    @classmethod
    def ml_dsa_44(cls, name: str, public: bytes) -> VerifierKey:
        """Make a key of type 0x06 with this name, for a log or a witness; its id is derived."""
        return cls._derived(name, ML_DSA_44_COSIGNATURE, public)

    @classmethod
    def _derived(cls, name: str, kind: int, public: bytes) -> VerifierKey:
        require_key_name(name)
        return cls(name=name, key_id=key_id(name, kind, public), kind=kind, public=public)

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read `<name>+<hex key id>+<base64 of type and key>`. Raises Malformed."""
        parts = text.split("+", 2)
        if len(parts) != 3 or not re.fullmatch(r"[0-9a-f]{8}", parts[1]):
            raise NOTE_KEY(f"not a verifier key: {shown(text)}")
        material = base64_decoded(parts[2], what="verifier key")
        return cls(name=parts[0], key_id=bytes.fromhex(parts[1]), kind=material[0], public=material[1:])

    def formatted(self) -> str:
        """Return the text that `parse` reads."""
        material = b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{material}"

    def verify(self, text: bytes, signature: bytes) -> None:
        """Check one signature over a note text. Raises Unverified, step `note.signature`.

        Signatures of types 0x04 and 0x06 begin with their timestamp, and cover the text of a checkpoint.
        """
        try:
            if self.kind == ED25519:
                Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
            else:
                timestamp = int.from_bytes(signature[:TIMESTAMP_BYTES], "big")
                signed, bare = self.cosigned_text(text, timestamp), signature[TIMESTAMP_BYTES:]
                if self.kind == ED25519_COSIGNATURE:
                    Ed25519PublicKey.from_public_bytes(self.public).verify(bare, signed)
                else:
                    MLDSA44PublicKey.from_public_bytes(self.public).verify(bare, signed)
        except UnsupportedAlgorithm:
            raise NOTE_SIGNATURE_UNSUPPORTED(
                f"signature by {shown(self.name)} cannot be checked: this build of cryptography lacks its algorithm"
            ) from None
        except (InvalidSignature, Malformed):
            raise NOTE_SIGNATURE_BAD(f"bad signature by {shown(self.name)}") from None

    def cosigned_text(self, text: bytes, timestamp: int) -> bytes:
        """Return the bytes that this key signs to cosign the text of a checkpoint. Raises Malformed, also for keys that
        cannot cosign."""
        if self.kind == ED25519_COSIGNATURE:
            return ed25519_cosigned_text(timestamp, text)
        if self.kind != ML_DSA_44_COSIGNATURE:
            raise NOTE_KEY_TYPE(f"key of {shown(self.name)} does not cosign")
        origin, size, root = tree_head_of(text)
        return ml_dsa_44_signed_text(
            cosigner=self.name, timestamp=timestamp, origin=origin, start=0, end=size, root=root
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSignature:
    """One signature line: the signer's key name, 4-byte key id, and the signature after the id."""

    name: str
    key_id: bytes
    signature: bytes

    def __post_init__(self) -> None:
        require_key_name(self.name)
        if len(self.key_id) != KEY_ID_BYTES or not self.signature:
            raise NOTE_SIGNATURE_LINE(f"signature by {shown(self.name)} lacks its key id or its bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A signed note. `text` ends in a newline and is untrusted until `verify` has returned."""

    text: bytes
    signatures: tuple[NoteSignature, ...]

    def __post_init__(self) -> None:
        require_text(self.text)
        if not 1 <= len(self.signatures) <= SIGNATURES_MAX:
            raise NOTE_SIGNATURE_COUNT(
                f"note with {len(self.signatures)} signatures, expected 1 to {SIGNATURES_MAX}"
            )

    @classmethod
    def parse(cls, encoded: bytes) -> Note:
        """Read a note of at most `NOTE_BYTES_MAX` bytes. Raises Malformed."""
        if len(encoded) > NOTE_BYTES_MAX:
            raise NOTE_SIZE(f"note of {len(encoded)} bytes, expected at most {NOTE_BYTES_MAX}")
        require_text(encoded)
        blank = encoded.rfind(b"\n\n")
        if blank < 0:
            raise NOTE_SIGNATURE_COUNT("note without a blank line before its signatures")
        lines = encoded[blank + 2 : -1].decode().split("\n", SIGNATURES_MAX + 1)
        if len(lines) > SIGNATURES_MAX:
            raise NOTE_SIGNATURE_COUNT(f"note with more than {SIGNATURES_MAX} signatures")
        return cls(text=encoded[: blank + 1], signatures=tuple(_signature_of(line) for line in lines))

    def encoded(self) -> bytes:
        """Return the bytes that `parse` reads."""
        lines = (
            f"{_SIGNATURE_LINE}{one.name} {b64encode(one.key_id + one.signature).decode()}\n"
            for one in self.signatures
        )
        return self.text + b"\n" + "".join(lines).encode()

    def verify(self, keys: Iterable[VerifierKey]) -> tuple[VerifierKey, ...]:
        """Verify the note, and return the keys that signed the text, each once: at least one.

        Keys of other types than `LOG_KINDS` are skipped. Raises Unverified: step `note.signature` for a bad signature
        by a known key, `note.signer` if no known key signed. Raises Malformed if two different keys share name and id.
        """
        signers = tuple(dict.fromkeys(key for _, key in self.signatures_by(keys, kinds=LOG_KINDS)))
        if not signers:
            raise NOTE_UNSIGNED("note is signed by no known key")
        return signers

    def signatures_by(
        self, keys: Iterable[VerifierKey], *, kinds: Collection[int]
    ) -> tuple[tuple[NoteSignature, VerifierKey], ...]:
        """Verify and return the signatures by keys of these types, each with its key; may be empty.

        Raises Unverified, step `note.signature`, for a bad signature, and Malformed if two different keys share name
        and id.
        """
        known: dict[tuple[str, bytes], VerifierKey] = {}
        for key in keys:
            if key.kind in kinds and known.setdefault((key.name, key.key_id), key) != key:
                raise NOTE_KEY_AMBIGUOUS(f"two keys called {shown(key.name)} share an id")
        found: list[tuple[NoteSignature, VerifierKey]] = []
        for one in self.signatures:
            signer = known.get((one.name, one.key_id))
            if signer is not None:
                signer.verify(self.text, one.signature)
                found.append((one, signer))
        return tuple(found)


def signed_note(text: bytes, *, key: VerifierKey, sign: Callable[[bytes], bytes]) -> Note:
    """Sign a text through an external Ed25519 signing function: `sign` takes the text and returns 64 bytes.

    Does not verify the result of `sign`; call `Note.verify` for that. Raises Malformed for a text that is not a note
    text, a key of another type, or a signature of another length.
    """
    if key.kind != ED25519:
        raise NOTE_KEY_TYPE(f"key of {shown(key.name)} does not sign notes")
    require_text(text)
    signature = sign(text)
    if len(signature) != ED25519_SIGNATURE_BYTES:
        raise NOTE_SIGNATURE_LENGTH(
            f"signature of {len(signature)} bytes, expected {ED25519_SIGNATURE_BYTES}"
        )
    return Note(text=text, signatures=(NoteSignature(name=key.name, key_id=key.key_id, signature=signature),))


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """Return the first four bytes of SHA-256(name || LF || type byte || public key)."""
    return sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:KEY_ID_BYTES]


def _signature_of(line: str) -> NoteSignature:
    parts = line.removeprefix(_SIGNATURE_LINE).split(" ")
    if not line.startswith(_SIGNATURE_LINE) or len(parts) != 2:
        raise NOTE_SIGNATURE_LINE(f"not a signature line: {shown(line)}")
    material = base64_decoded(parts[1], what="signature")
    return NoteSignature(name=parts[0], key_id=material[:KEY_ID_BYTES], signature=material[KEY_ID_BYTES:])


def _require_sound_ed25519(public: bytes) -> None:
    """Refuse keys under which a signature proves nothing: not 32 bytes, not canonical, or of small order."""
    y = int.from_bytes(public, "little") & (2**255 - 1)
    if len(public) != ED25519_KEY_BYTES or y >= _FIELD_PRIME or y in _SMALL_ORDER_Y:
        raise NOTE_KEY_UNSOUND("not a sound ed25519 public key")

"""Make and verify cosignatures (C2SP tlog-cosignature): statements of witnesses about a checkpoint, with a time.

Laws:
- a cosignature states that its cosigner has verified that this tree extends every earlier one of the same origin; with
 a timestamp, that it was the largest tree at that time. It states nothing about extension lines;
- cosignatures by unknown keys are ignored; a bad one by a known key rejects the checkpoint;
- a key counts once, however often it signed;
- this module never holds private keys: the caller passes in a signing function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.cosigned import TIMESTAMP_BYTES, ed25519_cosigned_text, ml_dsa_44_signed_text
from answerable.core.tlog.note import (
    COSIGNATURE_KINDS,
    ED25519_COSIGNATURE,
    ED25519_SIGNATURE_BYTES,
    ML_DSA_44_COSIGNATURE,
    ML_DSA_44_SIGNATURE_BYTES,
    Note,
    NoteSignature,
    VerifierKey,
)
from answerable.errors.codes.tlog import NOTE_SIGNATURE_LENGTH

__all__ = [
    "Cosignature",
    "cosignature",
    "ed25519_cosigned_text",
    "ml_dsa_44_signed_text",
    "verified_cosignatures",
]

_SIGNATURE_BYTES: Final = {
    ED25519_COSIGNATURE: ED25519_SIGNATURE_BYTES,
    ML_DSA_44_COSIGNATURE: ML_DSA_44_SIGNATURE_BYTES,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    """A valid cosignature by `cosigner`. timestamp: Unix seconds; 0 if it states no time."""

    cosigner: VerifierKey
    timestamp: int


def cosignature(
    checkpoint_text: bytes, *, key: VerifierKey, timestamp: int, sign: Callable[[bytes], bytes]
) -> NoteSignature:
    """Cosign the text of a checkpoint through an external signing function, at `timestamp` in Unix seconds.

    sign: takes the bytes to sign and returns the bare signature; ML-DSA-44 with an empty context. Its result is not
    verified. A log signs its own checkpoints with an ML-DSA-44 key in this way, too. Raises Malformed for a text that
    is not a checkpoint, a key of another type, a time out of range, or a signature of another length.
    """
    Checkpoint.parse(checkpoint_text)
    signature = sign(key.cosigned_text(checkpoint_text, timestamp))
    expected = _SIGNATURE_BYTES[key.kind]
    if len(signature) != expected:
        raise NOTE_SIGNATURE_LENGTH(f"signature of {len(signature)} bytes, expected {expected}")
    return NoteSignature(
        name=key.name, key_id=key.key_id, signature=timestamp.to_bytes(TIMESTAMP_BYTES, "big") + signature
    )


def verified_cosignatures(note: Note, *, cosigners: Iterable[VerifierKey]) -> tuple[Cosignature, ...]:
    """Return the valid cosignatures on a checkpoint by these keys, in the order of their first lines; may be empty.

    Of several by one key the newest counts. Keys of other types than `COSIGNATURE_KINDS` are skipped. The log's own
    signature is not checked. Raises Unverified, step `note.signature`, for a bad cosignature; Malformed for a note that
    is not a checkpoint, and if two different keys share name and id.
    """
    Checkpoint.parse(note.text)
    newest: dict[VerifierKey, int] = {}
    for line, cosigner in note.signatures_by(cosigners, kinds=COSIGNATURE_KINDS):
        timestamp = int.from_bytes(line.signature[:TIMESTAMP_BYTES], "big")
        newest[cosigner] = max(timestamp, newest.get(cosigner, 0))
    return tuple(Cosignature(cosigner=key, timestamp=timestamp) for key, timestamp in newest.items())

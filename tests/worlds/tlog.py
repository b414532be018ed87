"""Keys, logs and witnesses for the tests of core/tlog. Every key follows from its name and protects nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.cosignature import cosignature
from answerable.core.tlog.merkle import leaf_hash, root_of
from answerable.core.tlog.note import ED25519, Note, NoteSignature, VerifierKey, signed_note
from answerable.errors import Malformed, Unverified

ORIGIN = "ledger.example/one"
NOW = 1_795_000_000


@dataclass(frozen=True)
class Signer:
    """A key with what signs for it."""

    key: VerifierKey
    sign: Callable[[bytes], bytes]

    def line(self, text: bytes, timestamp: int = NOW) -> NoteSignature:
        """Its signature line: of a log's Ed25519 key over the text, of all others with a timestamp."""
        if self.key.kind == ED25519:
            return signed_note(text, key=self.key, sign=self.sign).signatures[0]
        return cosignature(text, key=self.key, timestamp=timestamp, sign=self.sign)


@cache
def ed25519_log(name: str = ORIGIN) -> Signer:
    """A log's key of type 0x01."""
    private = Ed25519PrivateKey.from_private_bytes(sha256(b"log " + name.encode()).digest())
    return Signer(VerifierKey.ed25519(name, private.public_key().public_bytes_raw()), private.sign)


@cache
def ed25519_witness(name: str) -> Signer:
    """A witness's key of type 0x04."""
    private = Ed25519PrivateKey.from_private_bytes(sha256(b"witness " + name.encode()).digest())
    key = VerifierKey.ed25519_cosignature(name, private.public_key().public_bytes_raw())
    return Signer(key, private.sign)


@cache
def ml_dsa_44(name: str) -> Signer:
    """A log's or a witness's key of type 0x06."""
    private = MLDSA44PrivateKey.from_seed_bytes(sha256(name.encode()).digest())
    return Signer(VerifierKey.ml_dsa_44(name, private.public_key().public_bytes_raw()), private.sign)


LEAVES = [leaf_hash(b"%d" % i) for i in range(21)]
CHECKPOINT = Checkpoint(origin=ORIGIN, size=len(LEAVES), root=root_of(LEAVES))


def signed_by(*signers: Signer, text: bytes = CHECKPOINT.text(), timestamp: int = NOW) -> Note:
    """A text with a line of each."""
    return Note(text=text, signatures=tuple(one.line(text, timestamp) for one in signers))


def flipped(content: bytes, bit: int) -> bytes:
    """With one bit changed."""
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def relined(note: Note, line: int, signature: bytes) -> Note:
    """With other bytes after the key id of one line."""
    lines = list(note.signatures)
    lines[line] = NoteSignature(name=lines[line].name, key_id=lines[line].key_id, signature=signature)
    return Note(text=note.text, signatures=tuple(lines))


def malformed_code(attempt: Callable[[], object]) -> str:
    """Code of the Malformed that it raises."""
    with pytest.raises(Malformed) as caught:
        attempt()
    assert "\n" not in caught.value.message
    return caught.value.code


def failed_step(attempt: Callable[[], object]) -> str:
    """Step of the Unverified that it raises."""
    with pytest.raises(Unverified) as caught:
        attempt()
    assert "\n" not in caught.value.message
    return caught.value.step


def lines_of(names: Sequence[str]) -> bytes:
    """A text of these lines."""
    return "".join(f"{name}\n" for name in names).encode()

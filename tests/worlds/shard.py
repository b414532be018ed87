"""Shards as somebody else reads them, made of leaves in memory: honest ones, and ones that show something else."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from answerable.core.identity.keys.keys import SigningKey, ed25519_public, new_private_jwk
from answerable.core.ledger.shards import HEADS, shard_origin
from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.merkle import consistency_proof, inclusion_proof, leaf_hash, reader_over, root_of
from answerable.core.tlog.note import Note, VerifierKey, signed_note
from answerable.core.tlog.proof import TlogProof
from answerable.errors import AnswerableError
from answerable.testing.clock import ManualClock
from answerable.testing.memory_ledger import MemoryLedger

BASE = "answerable.test"


def key_of(origin: str, salt: str = "") -> tuple[VerifierKey, SigningKey]:
    """The key that a log of this name has in tests; another one with salt."""
    key = SigningKey(new_private_jwk("ed25519", sha256(f"{origin}{salt}".encode()).digest()))
    return VerifierKey.ed25519(origin, ed25519_public(key.public)), key


class ShownLog:
    """Implements ports.published_log.PublishedLog. fails: raised instead of an answer."""

    def __init__(self, name: str = "a", *, base: str = BASE, salt: str = "") -> None:
        self.name = name
        self.origin = shard_origin(base, name)
        self.log_key, self._signer = key_of(self.origin, salt)
        self.entries: list[bytes] = []
        self.note: bytes | None = None
        self.cosigned_note: bytes | None = None
        self.has_key = True
        self.fails: AnswerableError | None = None

    def grown(self, count: int = 1, *, mark: str = "") -> ShownLog:
        """The same with so many entries more, under a checkpoint."""
        start = len(self.entries)
        self.entries += [f"{mark}{self.name} {number}".encode() for number in range(start, start + count)]
        return self.signed()

    def cut(self, size: int) -> ShownLog:
        """The same rolled back to a size."""
        del self.entries[size:]
        return self.signed()

    def signed(self) -> ShownLog:
        """The same with a checkpoint over all of it."""
        hashes = [leaf_hash(entry) for entry in self.entries]
        text = Checkpoint(origin=self.log_key.name, size=len(hashes), root=root_of(hashes)).text()
        self.note = signed_note(text, key=self.log_key, sign=self._signer.sign).encoded()
        return self

    def key(self) -> VerifierKey | None:
        """As the port says."""
        self._check()
        return self.log_key if self.has_key else None

    def checkpoint(self) -> bytes | None:
        """As the port says."""
        self._check()
        return self.note

    def cosigned(self) -> bytes | None:
        """As the port says."""
        return self.cosigned_note

    def leaves(self, start: int, stop: int) -> Iterator[bytes]:
        """As the port says."""
        yield from self.entries[start:stop]

    def consistency_proof(self, old_size: int, new: Checkpoint) -> tuple[bytes, ...]:
        """As the port says."""
        self._check()
        return consistency_proof(old_size=old_size, new_size=new.size, hash_at=self._hash_at(new.size))

    def inclusion_proof(self, index: int, under: bytes) -> str:
        """As the port says."""
        size = Checkpoint.parse(Note.parse(under).text).size
        hashes = inclusion_proof(index=index, size=size, hash_at=self._hash_at(size))
        return TlogProof(index=index, hashes=hashes, checkpoint=under).encoded().decode()

    def _hash_at(self, size: int):
        return reader_over([leaf_hash(entry) for entry in self.entries[:size]])

    def _check(self) -> None:
        if self.fails is not None:
            raise self.fails


def heads_ledger(clock: ManualClock | None = None, *, salt: str = "") -> MemoryLedger:
    """A log of logs in memory."""
    key, signer = key_of(shard_origin(BASE, HEADS), salt)
    return MemoryLedger(key=key, sign=signer.sign, clock=clock or ManualClock())


def shown_heads(ledger: MemoryLedger, *, salt: str = "") -> ShownLog:
    """The log of logs as the processes see it that do not keep it."""
    log = ShownLog(HEADS, salt=salt)
    log.entries = [stored.leaf for stored in ledger.replay()]
    return log.signed()

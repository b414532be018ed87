"""A log in memory as strangers read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.merkle import HashReader, consistency_proof, inclusion_proof, reader_over
from answerable.core.tlog.note import Note, VerifierKey
from answerable.core.tlog.proof import TlogProof
from answerable.testing.memory_ledger import MemoryLedger


@dataclass(frozen=True, slots=True)
class PublishedMemory:
    """The public part of a log in memory, sealed when it is looked at."""

    ledger: MemoryLedger
    log_key: VerifierKey
    name: str = "memory"

    def key(self) -> VerifierKey:
        return self.log_key

    def checkpoint(self) -> bytes:
        return self.ledger.seal().encode()

    def cosigned(self) -> None:
        return None

    def leaves(self, start: int, stop: int) -> Iterator[bytes]:
        return (stored.leaf for stored in self.ledger.replay(start) if stored.index < stop)

    def _hash_at(self) -> HashReader:
        return reader_over([stored.leaf_hash for stored in self.ledger.replay()])

    def consistency_proof(self, old_size: int, new: Checkpoint) -> tuple[bytes, ...]:
        return consistency_proof(old_size=old_size, new_size=new.size, hash_at=self._hash_at())

    def inclusion_proof(self, index: int, under: bytes) -> str:
        size = Checkpoint.parse(Note.parse(under).text).size
        hashes = inclusion_proof(index=index, size=size, hash_at=self._hash_at())
        return TlogProof(index=index, hashes=hashes, checkpoint=under).encoded().decode()

"""Logs that programs of others wrote, and our own judgement of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from answerable.core.tlog.checkpoint import Checkpoint, verified_checkpoint
from answerable.core.tlog.merkle import (
    CompactRange,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from answerable.core.tlog.note import VerifierKey
from answerable.core.tlog.policy import Policy, parse_policy, verified_checkpoint_under
from answerable.core.tlog.tile import (
    TileName,
    decode_bundle,
    tiles_of,
    verified_hash_reader,
)
from tests.interop.programs import go_program, run, run_aics

SIZE, OLD_SIZE, INDEX = 70_001, 1_000, 4_711
ORIGIN, WITNESS = "others.example/log", "others.example/w1"


@dataclass(frozen=True, slots=True, kw_only=True)
class TheirLog:
    """A directory that others wrote, and the keys they said they used."""

    directory: Path
    key: VerifierKey
    witness: VerifierKey

    @property
    def policy(self) -> Policy:
        """That its own witness must have cosigned."""
        lines = (f"log {self.key.formatted()}", f"witness w {self.witness.formatted()}", "quorum w", "")
        return parse_policy("\n".join(lines).encode())

    def read(self, tile: TileName) -> bytes:
        """What they stored for this tile."""
        return (self.directory / tile.path).read_bytes()

    def head(self) -> Checkpoint:
        """Their newest checkpoint, if both signed it."""
        encoded = (self.directory / "checkpoint").read_bytes()
        checkpoint, cosignatures = verified_checkpoint_under(encoded, self.policy, origin=ORIGIN)
        assert [one.cosigner for one in cosignatures] == [self.witness]
        return checkpoint

    def past(self) -> Checkpoint:
        """Their earlier checkpoint."""
        encoded = (self.directory / "checkpoint.old").read_bytes()
        return verified_checkpoint(encoded, origin=ORIGIN, log_keys=[self.key])

    def judge(self, *, index: int = INDEX, entry: bytes = b"entry 4711") -> None:
        """What we ask others of our log, asked by our code of theirs. Raises what that raises."""
        head, past = self.head(), self.past()
        hash_at = verified_hash_reader(head.size, head.root, self.read)
        included = inclusion_proof(index=index, size=head.size, hash_at=hash_at)
        verify_inclusion(leaf=leaf_hash(entry), index=index, size=head.size, proof=included, root=head.root)
        grown = consistency_proof(old_size=past.size, new_size=head.size, hash_at=hash_at)
        verify_consistency(
            old_size=past.size,
            new_size=head.size,
            old_root=past.root,
            new_root=head.root,
            proof=grown,
        )

    def entries(self) -> list[bytes]:
        """Every entry, out of their bundles."""
        found = []
        for tile in tiles_of(self.head().size):
            if tile.level is None:
                found += decode_bundle(self.read(tile), count=tile.width)
        return found


def root_over(entries: list[bytes]) -> bytes:
    """By the growing tree that our own ledger uses."""
    edge = CompactRange()
    for entry in entries:
        edge.append(leaf_hash(entry))
    return edge.root()


def by_go(directory: Path) -> TheirLog:
    """Tiles and log signature by x/mod, cosignature and proofs by transparency-dev."""
    sizes = ("-size", str(SIZE), "-old-size", str(OLD_SIZE), "-index", str(INDEX))
    names = ("-origin", ORIGIN, "-witness", WITNESS)
    done = run(go_program(), "write", "-out", directory, *names, *sizes)
    return _written(directory, done.stdout, done.stderr)


def by_aics(directory: Path) -> TheirLog:
    """Everything by the library of aics-tlog."""
    arguments = (directory, ORIGIN, WITNESS, str(OLD_SIZE), str(SIZE))
    done = run_aics("", "write", *arguments)
    return _written(directory, done.stdout, done.stderr)


WRITERS: dict[str, Callable[[Path], TheirLog]] = {"go": by_go, "aics-tlog": by_aics}


def _written(directory: Path, said: str, fault: str) -> TheirLog:
    assert said, fault
    keys = json.loads(said)
    return TheirLog(
        directory=directory,
        key=VerifierKey.parse(keys["key"]),
        witness=VerifierKey.parse(keys["witness"]),
    )

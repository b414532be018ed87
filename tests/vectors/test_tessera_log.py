"""A log of 15 entries written by Tessera: every checkpoint, root, entry and proof, from its files alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from answerable.core.tlog.checkpoint import Checkpoint, verified_checkpoint
from answerable.core.tlog.merkle import (
    CompactRange,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    reader_over,
    verify_consistency,
)
from answerable.core.tlog.note import VerifierKey
from answerable.core.tlog.proof import TlogProof
from answerable.core.tlog.tile import (
    TileName,
    decode_bundle,
    edge_from_tiles,
    encode_bundle,
    parse_tile_path,
    tile_hashes,
    tiles_of,
    verified_hash_reader,
)
from answerable.errors import Unverified

SIZES = range(16)


class TesseraLog:
    """The files of the set and the published test key."""

    def __init__(self, directory: Path) -> None:
        keys = json.loads((directory / "keys.json").read_text())
        self.directory = directory / "log"
        self.origin: str = keys["origin"]
        self.key = VerifierKey.parse(keys["verifier_key"])
        self.entries = [entry.encode() for entry in keys["entries_utf8_in_order"]]

    def signed(self, size: int) -> bytes:
        return (self.directory / f"checkpoint.{size}").read_bytes()

    def checkpoint(self, size: int) -> Checkpoint:
        return verified_checkpoint(self.signed(size), origin=self.origin, log_keys=[self.key])

    def read(self, name: TileName) -> bytes:
        return (self.directory / name.path).read_bytes()

    def leaves(self, size: int) -> list[bytes]:
        if not size:
            return []
        return tile_hashes(self.read(TileName(level=0, index=0, width=size)), width=size)

    def bundle(self, size: int) -> list[bytes]:
        return decode_bundle(self.read(TileName(level=None, index=0, width=size)), count=size)


@pytest.fixture
def log(vector_set: Callable[[str], Path]) -> TesseraLog:
    return TesseraLog(vector_set("tessera-log"))


@pytest.mark.requirement("TLOG-05")
def test_every_checkpoint_is_signed_and_its_root_is_that_of_the_tile(log: TesseraLog) -> None:
    for size in SIZES:
        checkpoint = log.checkpoint(size)
        tree = CompactRange()
        for leaf in log.leaves(size):
            tree.append(leaf)
        assert (checkpoint.size, checkpoint.root) == (size, tree.root()) == (tree.size, tree.root())


@pytest.mark.requirement("TLOG-05")
def test_the_leaves_are_the_hashes_of_the_entries(log: TesseraLog) -> None:
    for size in SIZES[1:]:
        assert log.bundle(size) == log.entries[:size]
        assert log.leaves(size) == [leaf_hash(entry) for entry in log.bundle(size)]


@pytest.mark.requirement("TLOG-05")
def test_every_entry_is_proven_under_every_later_checkpoint(log: TesseraLog) -> None:
    for size in SIZES[1:]:
        hash_at = reader_over(log.leaves(size))
        for index in range(size):
            proof = TlogProof(
                index=index,
                hashes=inclusion_proof(index=index, size=size, hash_at=hash_at),
                checkpoint=log.signed(size),
            )
            leaf = leaf_hash(log.entries[index])
            checkpoint = TlogProof.parse(proof.encoded()).verify(
                leaf=leaf, origin=log.origin, log_keys=[log.key]
            )
            assert checkpoint == log.checkpoint(size)


@pytest.mark.requirement("TLOG-05")
def test_every_checkpoint_is_consistent_with_every_later_one(log: TesseraLog) -> None:
    hash_at = reader_over(log.leaves(15))
    for new in SIZES[1:]:
        for old in range(1, new + 1):
            verify_consistency(
                old_size=old,
                new_size=new,
                old_root=log.checkpoint(old).root,
                new_root=log.checkpoint(new).root,
                proof=consistency_proof(old_size=old, new_size=new, hash_at=hash_at),
            )


@pytest.mark.requirement("TLOG-06")
def test_the_files_are_those_that_trees_of_these_sizes_have(log: TesseraLog) -> None:
    paths = [path for path in (log.directory / "tile").rglob("*") if path.is_file()]
    found = {parse_tile_path(path.relative_to(log.directory).as_posix()) for path in paths}
    assert found == {name for size in SIZES for name in tiles_of(size)}


@pytest.mark.requirement("TLOG-06")
def test_every_bundle_is_written_as_it_is_read(log: TesseraLog) -> None:
    for size in SIZES[1:]:
        assert encode_bundle(log.bundle(size)) == log.read(TileName(level=None, index=0, width=size))


@pytest.mark.requirement("TLOG-07")
def test_the_tiles_of_every_size_lead_to_its_signed_root_and_to_no_other(log: TesseraLog) -> None:
    for size in SIZES:
        signed = log.checkpoint(size)
        hash_at = verified_hash_reader(size, signed.root, log.read)
        assert edge_from_tiles(size, log.read).root() == signed.root
        assert [hash_at(0, index) for index in range(size)] == log.leaves(size)
        for other in SIZES:
            if other != size:
                with pytest.raises(Unverified):
                    verified_hash_reader(size, log.checkpoint(other).root, log.read)

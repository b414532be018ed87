"""Attacks on trees read from tiles: tiles that are not those of the tree that was signed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.merkle import (
    EMPTY_ROOT,
    SIZE_MAX,
    CompactRange,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    reader_over,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from answerable.core.tlog.policy import Group, Log, Policy, Witness
from answerable.core.tlog.proof import TlogProof
from answerable.core.tlog.tile import (
    TILES_KEPT,
    TileName,
    edge_from_tiles,
    hash_reader,
    tiles_of,
    verified_hash_reader,
)
from tests.worlds.tlog import ed25519_log, ed25519_witness, failed_step, flipped, malformed_code, signed_by

LEAVES = [leaf_hash(b"%d" % i) for i in range(70_000)]
HASH_AT = reader_over(LEAVES)


class Store:
    """The tiles of a tree over `LEAVES`, each made when it is asked for, and which were asked for."""

    def __init__(self, size: int) -> None:
        self.names = {name for name in tiles_of(size) if name.level is not None}
        self.asked: list[TileName] = []
        self.changed: dict[TileName, bytes] = {}

    def read(self, name: TileName) -> bytes:
        assert name in self.names
        self.asked.append(name)
        return self.changed.get(name, self.content(name))

    def content(self, name: TileName) -> bytes:
        height, first = 8 * (name.level or 0), name.index * 256
        return b"".join(HASH_AT(height, first + at) for at in range(name.width))

    def flip(self, name: TileName, bit: int) -> None:
        self.changed = {name: flipped(self.content(name), bit)}


SIZES = [1, 2, 255, 256, 257, 511, 512, 778, 65_535, 65_536, 65_537, 65_792, 70_000]


@pytest.mark.parametrize("size", SIZES)
def test_the_right_edge_alone_makes_the_range_and_its_root(size: int) -> None:
    store = Store(size)
    edge = edge_from_tiles(size, store.read)
    grown = CompactRange()
    for leaf in LEAVES[:size]:
        grown.append(leaf)
    assert (edge.size, edge.hashes, edge.root()) == (size, grown.hashes, grown.root())
    assert all(name.width < 256 for name in store.asked)
    assert len(store.asked) <= 3


@pytest.mark.parametrize("size", SIZES)
def test_proofs_from_tiles_are_those_of_the_leaves(size: int) -> None:
    root = root_of(LEAVES[:size])
    readers = (hash_reader(size, Store(size).read), verified_hash_reader(size, root, Store(size).read))
    for hash_at in readers:
        for index in {0, 1, size // 3, size // 2, size - 1} & set(range(size)):
            proof = inclusion_proof(index=index, size=size, hash_at=hash_at)
            assert proof == inclusion_proof(index=index, size=size, hash_at=HASH_AT)
            verify_inclusion(leaf=LEAVES[index], index=index, size=size, proof=proof, root=root)
            old = index + 1
            growth = consistency_proof(old_size=old, new_size=size, hash_at=hash_at)
            verify_consistency(
                old_size=old, new_size=size, old_root=root_of(LEAVES[:old]), new_root=root, proof=growth
            )


def test_the_empty_tree_has_a_root_and_nothing_to_read() -> None:
    store = Store(0)
    assert edge_from_tiles(0, store.read).root() == EMPTY_ROOT
    for hash_at in (hash_reader(0, store.read), verified_hash_reader(0, EMPTY_ROOT, store.read)):
        assert malformed_code(partial(hash_at, 0, 0)) == "tile.range"
    assert failed_step(lambda: verified_hash_reader(0, LEAVES[0], store.read)) == "tile.root"


@pytest.mark.parametrize(
    ("level", "index"),
    [(0, 778), (0, -1), (-1, 0), (1, 389), (8, 3), (9, 1), (10, 0), (64, 0), (10**9, 0), (0, 2**80)],
)
def test_a_subtree_that_the_tree_has_not_is_not_read(level: int, index: int) -> None:
    root = root_of(LEAVES[:778])
    store = Store(778)
    for hash_at in (hash_reader(778, store.read), verified_hash_reader(778, root, store.read)):
        store.asked.clear()
        assert malformed_code(partial(hash_at, level, index)) == "tile.range"
        assert store.asked == []


def test_sizes_that_no_tree_has_are_refused() -> None:
    store = Store(1)
    for size in (-1, SIZE_MAX + 1):
        for attempt in (
            lambda size: hash_reader(size, store.read),
            lambda size: verified_hash_reader(size, LEAVES[0], store.read),
            lambda size: edge_from_tiles(size, store.read),
        ):
            assert malformed_code(partial(attempt, size)) == "tlog.size_range"


CUTS: list[Callable[[bytes], bytes]] = [
    lambda tile: tile[:-1],
    lambda tile: tile[:-32],
    lambda tile: tile + bytes(32),
    lambda tile: b"",
]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("name", [name for name in tiles_of(778) if name.level is not None])
def test_a_tile_cut_short_or_padded_is_refused_by_every_reader(
    name: TileName, cut: Callable[[bytes], bytes]
) -> None:
    size, root = 778, root_of(LEAVES[:778])
    store = Store(size)
    store.changed = {name: cut(store.content(name))}
    at = (8 * (name.level or 0), name.index * 256)
    assert malformed_code(lambda: hash_reader(size, store.read)(*at)) == "tile.length"
    assert malformed_code(lambda: verified_hash_reader(size, root, store.read)(*at)) == "tile.length"
    if name.width < 256:
        assert malformed_code(lambda: edge_from_tiles(size, store.read)) == "tile.length"


def test_every_flipped_bit_of_the_right_edge_is_seen_at_once() -> None:
    size, root = 778, root_of(LEAVES[:778])
    store = Store(size)
    edge = [name for name in store.names if name.width < 256]
    assert sorted((name.level, name.width) for name in edge) == [(0, 10), (1, 3)]
    for name in edge:
        for bit in range(name.width * 32 * 8):
            store.flip(name, bit)
            assert failed_step(lambda: verified_hash_reader(size, root, store.read)) == "tile.root"


def test_a_flipped_bit_of_a_full_tile_is_seen_before_any_hash_of_it_is_used() -> None:
    size, root = 65_536 + 300, root_of(LEAVES[: 65_536 + 300])
    store = Store(size)
    full = [name for name in store.names if name.width == 256]
    assert {name.level for name in full} == {0, 1}
    for name in full[::16] + [name for name in full if name.level == 1]:
        for bit in (0, 8 * 32 * 100 + 5, 256 * 32 * 8 - 1):
            store.flip(name, bit)
            hash_at = verified_hash_reader(size, root, store.read)
            for height in range(8):
                attempt = partial(hash_at, 8 * (name.level or 0) + height, name.index << (8 - height))
                assert failed_step(attempt) == "tile.hash"
    # What lies below a tile is not believed either.
    store.flip(TileName(level=1, index=0), 7)
    assert failed_step(partial(verified_hash_reader(size, root, store.read), 0, 0)) == "tile.hash"


def test_a_tree_read_under_the_root_of_another_is_refused() -> None:
    store = Store(778)
    for root in (root_of(LEAVES[:777]), EMPTY_ROOT, b"", b"\x00" * 32):
        assert failed_step(partial(verified_hash_reader, 778, root, store.read)) == "tile.root"


def test_a_tile_that_changes_between_two_reads_is_never_used_unproven() -> None:
    size, root = 1000, root_of(LEAVES[:1000])
    store = Store(size)
    hash_at = verified_hash_reader(size, root, store.read)
    for name in (TileName(level=0, index=3, width=232), TileName(level=1, index=0, width=3)):
        store.flip(name, 3)
        assert hash_at(8 * (name.level or 0), name.index * 256) == HASH_AT(
            8 * (name.level or 0), name.index * 256
        )
    store.flip(TileName(level=0, index=1), 3)
    assert failed_step(partial(hash_at, 0, 300)) == "tile.hash"
    store.changed = {}
    assert hash_at(0, 300) == LEAVES[300]


def test_a_fault_of_the_store_passes_through_and_the_tile_is_asked_for_again() -> None:
    store = Store(300)
    faults = [OSError("gone")]

    def read(name: TileName) -> bytes:
        if faults:
            raise faults.pop()
        return store.read(name)

    hash_at = hash_reader(300, read)
    with pytest.raises(OSError, match="gone"):
        hash_at(0, 0)
    assert hash_at(0, 0) == LEAVES[0]


def test_a_long_walk_over_a_tree_keeps_few_tiles() -> None:
    size = 70_000
    store = Store(size)
    hash_at = hash_reader(size, store.read)
    for index in range(0, size, 64):
        hash_at(0, index)
    assert len(store.asked) == 274
    hash_at(0, 0)
    assert len(store.asked) == 275
    assert TILES_KEPT * 256 * 32 * 2 <= 1_000_000


# ---- large trees


class EqualLeaves:
    """A tree of any size whose leaves are all the same, so that all complete subtrees of one height are."""

    def __init__(self) -> None:
        self.hashes = [leaf_hash(b"the same entry")]
        for _ in range(63):
            self.hashes.append(node_hash(self.hashes[-1], self.hashes[-1]))
        self.asked: list[TileName] = []

    def read(self, name: TileName) -> bytes:
        self.asked.append(name)
        return self.hashes[8 * (name.level or 0)] * name.width

    def root(self, size: int) -> bytes:
        heights = [height for height in range(63, -1, -1) if size >> height & 1]
        return CompactRange.restored(size=size, hashes=[self.hashes[height] for height in heights]).root()


BILLION = 10**9


@pytest.mark.parametrize("size", [BILLION, BILLION + 1, 2**30 - 1, 256**4 - 1])
def test_proofs_in_a_tree_of_a_billion_need_a_few_tiles(size: int) -> None:
    tree = EqualLeaves()
    root = tree.root(size)
    assert edge_from_tiles(size, tree.read).root() == root
    for index in (0, 1, 255, 256, size // 3, size - 257, size - 2, size - 1):
        tree.asked.clear()
        hash_at = verified_hash_reader(size, root, tree.read)
        proof = inclusion_proof(index=index, size=size, hash_at=hash_at)
        verify_inclusion(leaf=tree.hashes[0], index=index, size=size, proof=proof, root=root)
        full = [name for name in tree.asked if name.width == 256]
        assert len(full) <= 4
        assert len(tree.asked) - len(full) <= 4
        assert len(set(tree.asked)) == len(tree.asked)
        old = index + 1
        growth = consistency_proof(old_size=old, new_size=size, hash_at=hash_at)
        verify_consistency(old_size=old, new_size=size, old_root=tree.root(old), new_root=root, proof=growth)


def test_the_largest_tree_there_is_can_be_read() -> None:
    tree = EqualLeaves()
    root = tree.root(SIZE_MAX)
    assert edge_from_tiles(SIZE_MAX, tree.read).root() == root
    assert [name.width for name in tree.asked] == [255] * 8
    for hash_at in (hash_reader(SIZE_MAX, tree.read), verified_hash_reader(SIZE_MAX, root, tree.read)):
        for level in range(64):
            assert hash_at(level, (SIZE_MAX >> level) - 1) == hash_at(level, 0) == tree.hashes[level]
        proof = inclusion_proof(index=SIZE_MAX - 1, size=SIZE_MAX, hash_at=hash_at)
        verify_inclusion(leaf=tree.hashes[0], index=SIZE_MAX - 1, size=SIZE_MAX, proof=proof, root=root)


def test_a_cosigned_proof_in_a_tree_of_a_billion_is_thirty_hashes_and_two_kilobytes() -> None:
    tree = EqualLeaves()
    origin = "ledger.example/agent-log-1"
    log, *witnesses = ed25519_log(origin), *(ed25519_witness(f"witness.example/w{at}") for at in (1, 2))
    policy = Policy(
        logs=(Log(key=log.key),),
        witnesses=tuple(Witness(name=one.key.name, key=one.key) for one in witnesses),
        groups=(Group(name="both", threshold=2, members=tuple(one.key.name for one in witnesses)),),
        quorum="both",
    )
    text = Checkpoint(origin=origin, size=BILLION, root=tree.root(BILLION)).text()
    encoded = signed_by(log, *witnesses, text=text).encoded()
    hash_at = hash_reader(BILLION, tree.read)
    for index in (0, BILLION // 2, BILLION - 513, BILLION - 1):
        proof = TlogProof(
            index=index,
            hashes=inclusion_proof(index=index, size=BILLION, hash_at=hash_at),
            checkpoint=encoded,
        )
        assert len(proof.hashes) <= 30
        assert len(proof.encoded()) <= 2048
        checked, cosignatures = TlogProof.parse(proof.encoded()).verify_under(
            policy, leaf=tree.hashes[0], origin=origin
        )
        assert (checked.size, len(cosignatures)) == (BILLION, 2)

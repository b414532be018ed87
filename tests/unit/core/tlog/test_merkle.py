"""Attacks on Merkle proofs, and the tree itself against the definition of RFC 6962."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

import pytest

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
from answerable.errors import Malformed, Unverified

LEAVES = [leaf_hash(f"entry {i}".encode()) for i in range(70)]
AT = reader_over(LEAVES)


def by_definition(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + by_definition(leaves[:split]) + by_definition(leaves[split:])).digest()


def failed_step(attempt: Callable[[], None]) -> str:
    with pytest.raises(Unverified) as caught:
        attempt()
    return caught.value.step


def malformed_code(attempt: Callable[[], object]) -> str:
    with pytest.raises(Malformed) as caught:
        attempt()
    return caught.value.code


def include(index: int, size: int, proof: Sequence[bytes], leaf: bytes, root: bytes) -> Callable[[], None]:
    return lambda: verify_inclusion(leaf=leaf, index=index, size=size, proof=proof, root=root)


def link(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> Callable[[], None]:
    return lambda: verify_consistency(
        old_size=old, new_size=new, old_root=old_root, new_root=new_root, proof=proof
    )


def flipped(value: bytes, bit: int) -> bytes:
    return (int.from_bytes(value, "big") ^ (1 << bit)).to_bytes(len(value), "big")


def test_hashes_of_leaves_and_nodes_are_in_separate_domains() -> None:
    left, right = LEAVES[:2]
    assert leaf_hash(left + right) != node_hash(left, right)
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_roots_are_those_of_the_definition_however_they_are_computed() -> None:
    grown = CompactRange()
    for size in range(len(LEAVES)):
        assert grown.size == size
        assert grown.root() == root_of(LEAVES[:size]) == by_definition(LEAVES[:size])
        assert CompactRange.restored(size=size, hashes=grown.hashes).root() == grown.root()
        grown.append(LEAVES[size])


def test_every_proof_of_every_small_tree_verifies() -> None:
    for size in range(1, 40):
        root = root_of(LEAVES[:size])
        for index in range(size):
            include(index, size, inclusion_proof(index=index, size=size, hash_at=AT), LEAVES[index], root)()
        for old in range(1, size + 1):
            proof = consistency_proof(old_size=old, new_size=size, hash_at=AT)
            link(old, size, proof, root_of(LEAVES[:old]), root)()


def test_a_copy_of_a_range_grows_alone() -> None:
    grown = CompactRange()
    grown.append(LEAVES[0])
    twin = grown.copy()
    twin.append(LEAVES[1])
    assert (grown.size, grown.root()) == (1, LEAVES[0])
    assert (twin.size, twin.root()) == (2, node_hash(LEAVES[0], LEAVES[1]))


@pytest.mark.parametrize(
    ("size", "hashes", "code"),
    [
        (-1, (), "tlog.size_range"),
        (SIZE_MAX + 1, (b"\x00" * 32,), "tlog.size_range"),
        (3, (b"\x00" * 32,), "tlog.range_length"),
        (0, (b"\x00" * 32,), "tlog.range_length"),
        (2, (b"\x00" * 31,), "tlog.hash_length"),
    ],
)
def test_a_range_is_not_restored_from_parts_that_do_not_fit(
    size: int, hashes: tuple[bytes, ...], code: str
) -> None:
    assert malformed_code(lambda: CompactRange.restored(size=size, hashes=hashes)) == code


def test_what_is_not_a_hash_is_not_a_leaf() -> None:
    assert malformed_code(lambda: CompactRange().append(b"entry")) == "tlog.hash_length"
    assert malformed_code(lambda: root_of([LEAVES[0], b""])) == "tlog.hash_length"


def test_a_tree_never_grows_past_its_largest_size() -> None:
    full = CompactRange.restored(size=SIZE_MAX, hashes=LEAVES[:64])
    assert malformed_code(lambda: full.append(LEAVES[0])) == "tlog.size_range"


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 3), (5, 3), (0, SIZE_MAX + 1), (0, -1)])
def test_there_is_no_proof_for_a_leaf_outside_the_tree(index: int, size: int) -> None:
    assert malformed_code(lambda: inclusion_proof(index=index, size=size, hash_at=AT)) == "proof.index_range"
    assert failed_step(include(index, size, (), LEAVES[0], LEAVES[0])) == "inclusion.index"


@pytest.mark.parametrize(("old", "new"), [(2, 1), (-1, 1), (1, SIZE_MAX + 1)])
def test_there_is_no_proof_between_sizes_out_of_order(old: int, new: int) -> None:
    assert (
        malformed_code(lambda: consistency_proof(old_size=old, new_size=new, hash_at=AT))
        == "proof.size_range"
    )
    assert failed_step(link(old, new, (), LEAVES[0], LEAVES[0])) == "consistency.size"


def test_an_empty_old_tree_proves_nothing_about_the_new_one() -> None:
    assert consistency_proof(old_size=0, new_size=5, hash_at=AT) == ()
    assert failed_step(link(0, 5, (), EMPTY_ROOT, root_of(LEAVES[:5]))) == "consistency.size"
    assert failed_step(link(0, 0, (), EMPTY_ROOT, EMPTY_ROOT)) == "consistency.size"


def test_trees_of_one_size_are_consistent_exactly_when_their_roots_are_equal() -> None:
    root, other = root_of(LEAVES[:5]), root_of(LEAVES[1:6])
    link(5, 5, (), root, root)()
    assert failed_step(link(5, 5, (), root, other)) == "consistency.new_root"
    assert failed_step(link(5, 5, (root,), root, root)) == "consistency.length"


@pytest.mark.parametrize("size", [1, 2, 7, 8, 13, 64, 70])
def test_an_inclusion_proof_with_anything_changed_is_refused(size: int) -> None:
    root = root_of(LEAVES[:size])
    for index in range(size):
        leaf = LEAVES[index]
        proof = inclusion_proof(index=index, size=size, hash_at=AT)
        assert failed_step(include(index, size, proof, flipped(leaf, 0), root)) == "inclusion.root"
        assert failed_step(include(index, size, proof, leaf, flipped(root, 255))) == "inclusion.root"
        assert failed_step(include(index, size, (*proof, LEAVES[0]), leaf, root)) == "inclusion.length"
        assert failed_step(include(index, size, proof, leaf[:31], root)) == "inclusion.hash"
        assert failed_step(include(index, size, proof, leaf, root + b"\x00")) == "inclusion.hash"
        for at in range(len(proof)):
            damaged = [*proof[:at], flipped(proof[at], at), *proof[at + 1 :]]
            assert failed_step(include(index, size, damaged, leaf, root)) == "inclusion.root"
            short = [*proof[:at], *proof[at + 1 :]]
            assert failed_step(include(index, size, short, leaf, root)) == "inclusion.length"
            cut = [*proof[:at], proof[at][:-1], *proof[at + 1 :]]
            assert failed_step(include(index, size, cut, leaf, root)) == "inclusion.hash"
        for other in range(size):
            if other != index:
                assert failed_step(include(other, size, proof, leaf, root)).startswith("inclusion.")


@pytest.mark.parametrize(
    ("old", "new"), [(1, 2), (1, 8), (3, 7), (4, 7), (6, 8), (7, 8), (8, 13), (33, 70), (64, 70)]
)
def test_a_consistency_proof_with_anything_changed_is_refused(old: int, new: int) -> None:
    old_root, new_root = root_of(LEAVES[:old]), root_of(LEAVES[:new])
    proof = consistency_proof(old_size=old, new_size=new, hash_at=AT)
    assert failed_step(link(old, new, proof, flipped(old_root, 1), new_root)).endswith("_root")
    assert failed_step(link(old, new, proof, old_root, flipped(new_root, 1))) == "consistency.new_root"
    assert failed_step(link(old, new, proof, new_root, old_root)).endswith("_root")
    assert failed_step(link(old, new, (*proof, LEAVES[0]), old_root, new_root)) == "consistency.length"
    assert failed_step(link(old, new, proof, b"", new_root)) == "consistency.hash"
    assert failed_step(link(new, old, proof, old_root, new_root)) == "consistency.size"
    for at in range(len(proof)):
        damaged = [*proof[:at], flipped(proof[at], at), *proof[at + 1 :]]
        assert failed_step(link(old, new, damaged, old_root, new_root)).endswith("_root")
        short = [*proof[:at], *proof[at + 1 :]]
        assert failed_step(link(old, new, short, old_root, new_root)) == "consistency.length"


def test_a_shortened_proof_of_an_inner_node_does_not_pass_as_a_leaf() -> None:
    root = root_of(LEAVES[:8])
    inner = node_hash(LEAVES[2], LEAVES[3])
    proof = inclusion_proof(index=2, size=8, hash_at=AT)[1:]
    include(1, 4, proof, inner, root)()  # Right for the tree of pairs, whose size nobody signed:
    assert failed_step(include(1, 8, proof, inner, root)) == "inclusion.length"


def test_deep_paths_verify_up_to_the_largest_tree() -> None:
    # A tree of equal leaves has one hash a level, so it can be asked for any node without being built.
    level_hashes = [LEAVES[0]]
    for _ in range(64):
        level_hashes.append(node_hash(level_hashes[-1], level_hashes[-1]))

    def hash_at(level: int, index: int) -> bytes:
        return level_hashes[level]

    def root_at(size: int) -> bytes:
        hashes = [level_hashes[bit] for bit in reversed(range(64)) if size >> bit & 1]
        return CompactRange.restored(size=size, hashes=hashes).root()

    for size in (SIZE_MAX, 2**63 + 1, 2**40 + 12_345, 10**9):
        for index in (0, 1, size // 3, size - 2, size - 1):
            proof = inclusion_proof(index=index, size=size, hash_at=hash_at)
            include(index, size, proof, LEAVES[0], root_at(size))()
            assert failed_step(include(index, size, proof, LEAVES[1], root_at(size))) == "inclusion.root"
            old = index + 1
            chain = consistency_proof(old_size=old, new_size=size, hash_at=hash_at)
            link(old, size, chain, root_at(old), root_at(size))()
            assert failed_step(link(old, size, chain, LEAVES[1], root_at(size))).endswith("_root")
    assert len(inclusion_proof(index=2**29, size=10**9, hash_at=hash_at)) == 30

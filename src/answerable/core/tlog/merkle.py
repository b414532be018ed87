"""Merkle trees of RFC 6962: hashing, an append-only right edge, and inclusion and consistency proofs.

Laws:
- a proof built for a tree verifies against that tree's roots, and no other bytes, index or size do;
- verification raises `Unverified` with the failed step; it never returns a boolean that a caller could ignore;
- a tree of size 0 proves nothing: `verify_consistency` refuses old size 0. RFC 6962 defines no such proof,
 the public vectors reject it, and a witness that first encounters a log decides by its own protocol
 (C2SP tlog-witness, which requires an empty proof there, as `consistency_proof` builds it);
- a hash is 32 bytes: other lengths are refused everywhere, even if the algorithm would not use the hash.

Hashes are 32 bytes, sizes and indices at most 2**64 - 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final, TypeAlias

from answerable.errors.codes.tlog import (
    PROOF_HASH_LENGTH_UNVERIFIED,
    PROOF_INDEX_RANGE,
    PROOF_INDEX_RANGE_UNVERIFIED,
    PROOF_LENGTH_UNVERIFIED,
    PROOF_ROOT_MISMATCH,
    PROOF_SIZE_RANGE,
    PROOF_SIZE_RANGE_UNVERIFIED,
    TLOG_HASH_LENGTH,
    TLOG_RANGE_LENGTH,
    TLOG_SIZE_RANGE,
)

HASH_BYTES: Final = 32
SIZE_MAX: Final = 2**64 - 1
PROOF_HASHES_MAX: Final = 64
"""Maximum length of an inclusion proof; consistency proofs are at most one hash longer."""
EMPTY_ROOT: Final = sha256(b"").digest()
"""Root of the tree with no leaves (RFC 6962, section 2.1)."""

HashReader: TypeAlias = Callable[[int, int], bytes]
"""Reads the root of the complete subtree at (level, index), which starts at leaf `index << level`."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of one entry: SHA-256(0x00 || entry)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node: SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


class CompactRange:
    """The right edge of a growing tree: one hash for each complete subtree, largest first.

    `append` costs one node hash on average. Stores at most 64 hashes whatever the size. Not thread-safe.
    """

    __slots__ = ("_hashes", "_size")

    def __init__(self) -> None:
        self._size = 0
        self._hashes: list[bytes] = []

    @classmethod
    def restored(cls, *, size: int, hashes: Sequence[bytes]) -> CompactRange:
        """Restore a range from `size` and `hashes`. Raises Malformed unless they fit together."""
        if not 0 <= size <= SIZE_MAX:
            raise TLOG_SIZE_RANGE(f"tree size {size} out of range")
        if len(hashes) != size.bit_count():
            raise TLOG_RANGE_LENGTH(
                f"compact range of size {size} has {len(hashes)} hashes, expected {size.bit_count()}"
            )
        for one in hashes:
            _require_hash(one)
        restored = cls()
        restored._size = size
        restored._hashes = list(hashes)
        return restored

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self._size

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The state for `restored`: one hash for each bit set in the size, most significant first."""
        return tuple(self._hashes)

    def append(self, leaf: bytes) -> None:
        """Append one leaf hash. Raises Malformed if it is not a hash or the tree is full."""
        _require_hash(leaf)
        if self._size == SIZE_MAX:
            raise TLOG_SIZE_RANGE(f"tree is full at {SIZE_MAX} leaves")
        rest, grown = self._size, leaf
        while rest & 1:
            grown = node_hash(self._hashes.pop(), grown)
            rest >>= 1
        self._hashes.append(grown)
        self._size += 1

    def root(self) -> bytes:
        """Return the root hash of the tree; `EMPTY_ROOT` for no leaves."""
        if not self._hashes:
            return EMPTY_ROOT
        root = self._hashes[-1]
        for left in reversed(self._hashes[:-1]):
            root = node_hash(left, root)
        return root

    def copy(self) -> CompactRange:
        """Return an independent copy, to compute the effect of a batch before it is durable."""
        twin = CompactRange()
        twin._size = self._size
        twin._hashes = self._hashes.copy()
        return twin


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root hash over leaf hashes (RFC 6962, section 2.1). Raises Malformed if one is not a hash."""
    level = list(leaves)
    for one in level:
        _require_hash(one)
    if not level:
        return EMPTY_ROOT
    while len(level) > 1:
        # An odd last node moves up unchanged, which gives the same tree as splitting at powers of two.
        rest = level[-1:] if len(level) & 1 else []
        level = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)] + rest
    return level[0]


def reader_over(leaves: Sequence[bytes]) -> HashReader:
    """Return a `HashReader` over leaf hashes in memory; hashes of inner nodes are computed once and cached."""
    levels: list[Sequence[bytes]] = [leaves]

    def hash_at(level: int, index: int) -> bytes:
        while len(levels) <= level:
            below = levels[-1]
            levels.append([node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])
        return levels[level][index]

    return hash_at


def inclusion_proof(*, index: int, size: int, hash_at: HashReader) -> tuple[bytes, ...]:
    """Build the proof that leaf `index` is in the tree of `size` leaves, from the leaf's sibling upwards.

    PATH of RFC 6962, section 2.1.1. Raises Malformed unless 0 <= index < size.
    """
    if not 0 <= index < size <= SIZE_MAX:
        raise PROOF_INDEX_RANGE(f"no leaf {index} in a tree of {size} leaves")
    proof: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            proof.append(_range_root(middle, high, hash_at))
            high = middle
        else:
            proof.append(_range_root(low, middle, hash_at))
            low = middle
    return tuple(reversed(proof))


def consistency_proof(*, old_size: int, new_size: int, hash_at: HashReader) -> tuple[bytes, ...]:
    """Build the proof that the tree of `old_size` leaves is a prefix of the tree of `new_size` leaves.

    PROOF of RFC 6962, section 2.1.2; empty for old size 0 and for equal sizes. Raises Malformed if the old size is
    larger.
    """
    if not 0 <= old_size <= new_size <= SIZE_MAX:
        raise PROOF_SIZE_RANGE(f"no proof from size {old_size} to size {new_size}")
    if old_size in (0, new_size):
        return ()
    proof: list[bytes] = []
    low, high = 0, new_size
    while high != old_size:
        middle = low + _split(high - low)
        if old_size <= middle:
            proof.append(_range_root(middle, high, hash_at))
            high = middle
        else:
            proof.append(_range_root(low, middle, hash_at))
            low = middle
    if low:
        # The verifier has the old root, but not the root of a smaller complete subtree.
        proof.append(_range_root(low, high, hash_at))
    return tuple(reversed(proof))


def verify_inclusion(*, leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf hash is at `index` in the tree of `size` leaves with this root.

    RFC 9162, section 2.1.3.2. Raises Unverified, step `inclusion.index`, `.hash`, `.length` or `.root`.
    """
    if not 0 <= index < size <= SIZE_MAX:
        raise PROOF_INDEX_RANGE_UNVERIFIED(f"no leaf {index} in a tree of {size} leaves")
    _check_hashes((leaf, root, *proof), "inclusion.hash")
    inner, border = _path_lengths(index, size)
    _check_length(len(proof), inner + border, "inclusion.length")
    node, last, computed = index, size - 1, leaf
    for sibling in proof:
        if node & 1 or node == last:
            computed = node_hash(sibling, computed)
            while node and not node & 1:
                node >>= 1
                last >>= 1
        else:
            computed = node_hash(computed, sibling)
        node >>= 1
        last >>= 1
    if last or computed != root:
        raise PROOF_ROOT_MISMATCH("proof does not lead to the root", step="inclusion.root")


def verify_consistency(
    *, old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the old tree is a prefix of the new one.

    RFC 9162, section 2.1.4.2. Raises Unverified, step `consistency.size` (also for old size 0, see the
    module), `.hash`, `.length`, `.old_root` or `.new_root`.
    """
    if not 0 < old_size <= new_size <= SIZE_MAX:
        raise PROOF_SIZE_RANGE_UNVERIFIED(f"nothing links size {old_size} to size {new_size}")
    _check_hashes((old_root, new_root, *proof), "consistency.hash")
    _check_length(len(proof), _consistency_length(old_size, new_size), "consistency.length")
    if old_size == new_size:
        if old_root != new_root:
            raise PROOF_ROOT_MISMATCH(f"two roots for size {old_size}")
        return
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old_computed = new_computed = path[0]
    for sibling in path[1:]:
        if node & 1 or node == last:
            old_computed = node_hash(sibling, old_computed)
            new_computed = node_hash(sibling, new_computed)
            while node and not node & 1:
                node >>= 1
                last >>= 1
        else:
            new_computed = node_hash(new_computed, sibling)
        node >>= 1
        last >>= 1
    if old_computed != old_root:
        raise PROOF_ROOT_MISMATCH("proof does not lead to the old root", step="consistency.old_root")
    if last or new_computed != new_root:
        raise PROOF_ROOT_MISMATCH("proof does not lead to the new root")


def _split(count: int) -> int:
    """Return the largest power of two smaller than `count` (count > 1)."""
    return 1 << ((count - 1).bit_length() - 1)


def _range_root(low: int, high: int, hash_at: HashReader) -> bytes:
    """Return the root over leaves low to high; low is a multiple of the next power of two at or above high - low."""
    rights: list[tuple[int, int]] = []
    while low < high:
        level = (high - low).bit_length() - 1
        rights.append((level, low >> level))
        low += 1 << level
    root = hash_at(*rights.pop())
    while rights:
        root = node_hash(hash_at(*rights.pop()), root)
    return root


def _path_lengths(index: int, size: int) -> tuple[int, int]:
    """Return the numbers of hashes of an inclusion proof below and above where the path joins the tree's right edge."""
    inner = (index ^ (size - 1)).bit_length()
    return inner, (index >> inner).bit_count()


def _consistency_length(old_size: int, new_size: int) -> int:
    if old_size == new_size:
        return 0
    inner, border = _path_lengths(old_size - 1, new_size)
    complete = (old_size & -old_size).bit_length() - 1
    seed = 0 if old_size == 1 << complete else 1
    return seed + inner - complete + border


def _require_hash(value: bytes) -> None:
    if len(value) != HASH_BYTES:
        raise TLOG_HASH_LENGTH(f"hash of {len(value)} bytes, expected {HASH_BYTES}")


def _check_hashes(hashes: Sequence[bytes], step: str) -> None:
    for one in hashes:
        if len(one) != HASH_BYTES:
            raise PROOF_HASH_LENGTH_UNVERIFIED(f"hash of {len(one)} bytes, expected {HASH_BYTES}", step=step)


def _check_length(got: int, expected: int, step: str) -> None:
    if got != expected:
        raise PROOF_LENGTH_UNVERIFIED(f"proof of {got} hashes, expected {expected}", step=step)

"""Compute the Merkle tree over a log's leaf hashes, in whole blocks of entries where no root in between is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.tlog.merkle import EMPTY_ROOT, HASH_BYTES, node_hash
from answerable.verify.entry_range import BLOCK_ENTRIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from answerable.verify.entry_range import EntryRange


class Tree:
    """The right edge of the tree: one hash for each complete subtree, largest first. on_block: called with each block's
    root."""

    def __init__(self, on_block: Callable[[bytes], None]) -> None:
        self.size = 0
        self._edge: list[bytes] = []
        self._on_block = on_block

    def grown(self, entry_range: EntryRange, stops: Iterator[int]) -> Iterator[int]:
        """Add the leaf hashes of a range, which must start where the tree ends. Yields at each size of `stops`."""
        hashes, blocks = entry_range.hashes, entry_range.blocks
        first_block = -(-entry_range.first // BLOCK_ENTRIES)
        stop = entry_range.stop
        at = next(stops, stop + 1)
        while self.size < stop:
            number, inside = divmod(self.size, BLOCK_ENTRIES)
            whole = (number - first_block) * HASH_BYTES
            if not inside and 0 <= whole < len(blocks) and at >= self.size + BLOCK_ENTRIES:
                self._add(blocks[whole : whole + HASH_BYTES], BLOCK_ENTRIES)
            else:
                start = (self.size - entry_range.first) * HASH_BYTES
                self._add(hashes[start : start + HASH_BYTES], 1)
            while self.size == at:
                yield at
                at = next(stops, stop + 1)

    def root(self) -> bytes:
        """Return the root hash of the tree so far."""
        if not self._edge:
            return EMPTY_ROOT
        root = self._edge[-1]
        for left in reversed(self._edge[:-1]):
            root = node_hash(left, root)
        return root

    def _add(self, grown: bytes, entries: int) -> None:
        """Add a complete subtree, whose size divides that of the tree."""
        if entries == BLOCK_ENTRIES:
            self._on_block(grown)
        self.size += entries
        rest = self.size // entries
        while not rest & 1:
            grown = node_hash(self._edge.pop(), grown)
            rest >>= 1
            entries <<= 1
            if entries == BLOCK_ENTRIES:
                self._on_block(grown)
        self._edge.append(grown)

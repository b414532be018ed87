"""Create proofs from tiles: with few reads regardless of the log's size, and only proofs that verify."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Final

from answerable.core.tlog.merkle import HASH_BYTES, consistency_proof, inclusion_proof
from answerable.core.tlog.proof import TlogProof
from answerable.core.tlog.tile import TILE_WIDTH, verified_hash_reader
from answerable.errors import Broken, Unverified
from answerable.errors.codes.ledger import LEDGER_CORRUPT
from answerable.errors.codes.tlog import PROOF_INDEX_RANGE, PROOF_SIZE_RANGE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.adapters.tlog_files.history import Signed
    from answerable.adapters.tlog_files.tiles import TileFiles
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.tlog.merkle import HashReader

LEAF_TILES_KEPT: Final = 1024
"""8 MiB: the leaf hashes of the 262,144 most recently requested entries."""


def proof_of_inclusion(tiles: TileFiles, index: int, *, under: Signed) -> TlogProof:
    """Return a proof that an entry is in the log, against this checkpoint.

    Raises Malformed (`proof.index_range`) for an entry that the checkpoint does not cover, Broken (`ledger.corrupt`);
    OSError.
    """
    checkpoint = under.checkpoint
    if not 0 <= index < checkpoint.size:
        raise PROOF_INDEX_RANGE(
            f"no checkpoint covers entry {index}: the newest covers {checkpoint.size} entries"
        )
    try:
        hash_at = verified_hash_reader(checkpoint.size, checkpoint.root, tiles.read)
        hashes = inclusion_proof(index=index, size=checkpoint.size, hash_at=hash_at)
    except Unverified as error:
        raise _damaged(error) from None
    return TlogProof(index=index, hashes=hashes, checkpoint=under.note)


def proof_of_consistency(
    tiles: TileFiles, *, old_size: int, new_size: int, size: int, root: bytes
) -> tuple[bytes, ...]:
    """Return a proof that the tree of the old size is a prefix of that of the new size. size, root: of the newest tree.

    Raises Malformed (`proof.size_range`) unless old_size <= new_size <= size, Broken (`ledger.corrupt`); OSError.
    """
    if not 0 <= old_size <= new_size <= size:
        raise PROOF_SIZE_RANGE(
            f"no proof from size {old_size} to size {new_size}: the newest checkpoint covers {size} entries"
        )
    try:
        hash_at = verified_hash_reader(size, root, tiles.read)
        return consistency_proof(old_size=old_size, new_size=new_size, hash_at=hash_at)
    except Unverified as error:
        raise _damaged(error) from None


class CheckedLeaves:
    """Leaf hashes that were verified under a signed root; those of full tiles stay valid forever.

    Caches those of LEAF_TILES_KEPT full tiles, and the reader under the newest root. Thread-safe.
    """

    def __init__(self, tiles: TileFiles) -> None:
        self._tiles = tiles
        self._turn = Lock()
        self._full: OrderedDict[int, bytes] = OrderedDict()
        self._root = b""
        self._hash_at: HashReader | None = None

    def checked(self, entries: Iterable[StoredEntry], *, size: int, root: bytes) -> tuple[StoredEntry, ...]:
        """Return the entries after checking that each is at its index in this tree. Entries that the tree does not
        cover pass.

        Raises Broken (`ledger.corrupt`); OSError.
        """
        checked = tuple(entries)
        try:
            with self._turn:
                for entry in checked:
                    if entry.index < size and self._hash(entry.index, size, root) != entry.leaf_hash:
                        raise LEDGER_CORRUPT(f"entry {entry.index} is not the one that was signed over")
        except Unverified as error:
            raise _damaged(error) from None
        return checked

    def _hash(self, index: int, size: int, root: bytes) -> bytes:
        tile, place = divmod(index, TILE_WIDTH)
        known = self._full.get(tile)
        if known is None:
            if self._hash_at is None or self._root != root:
                self._hash_at, self._root = verified_hash_reader(size, root, self._tiles.read), root
            if (tile + 1) * TILE_WIDTH > size:
                return self._hash_at(0, index)
            first = tile * TILE_WIDTH
            known = self._full[tile] = b"".join(self._hash_at(0, first + one) for one in range(TILE_WIDTH))
            if len(self._full) > LEAF_TILES_KEPT:
                self._full.popitem(last=False)
        return known[place * HASH_BYTES : (place + 1) * HASH_BYTES]


def _damaged(error: Unverified) -> Broken:
    return LEDGER_CORRUPT(f"ledger is damaged in `tile`: {error.message}")

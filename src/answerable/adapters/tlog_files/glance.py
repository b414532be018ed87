"""Look at a published log for damage, within a bounded number of reads: its newest checkpoint, tiles and entries.

Law: what was not read is not claimed: the answer says from which entry on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.tlog.checkpoint import verified_checkpoint
from answerable.core.tlog.merkle import leaf_hash
from answerable.core.tlog.tile import TILE_HEIGHT, TILE_LEVELS, TILE_WIDTH, verified_hash_reader
from answerable.errors import Malformed, Unverified, shown
from answerable.errors.codes.ledger import LEDGER_CORRUPT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from answerable.core.tlog.note import VerifierKey
    from answerable.core.tlog.tile import TileName
    from answerable.errors import Broken

TILES_MAX: Final = 1_024
"""Full hash tiles that are read: 8 MiB, of 262,144 entries and what is above them."""
ENTRIES_MAX: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """What was compared. size: entries under the newest checkpoint. hashes_from: first entry from which on each hash in
    a tile leads to its root. entries_from: first one from which on the entries in the bundles have these hashes."""

    size: int
    hashes_from: int
    entries_from: int


def glance(
    key: VerifierKey,
    checkpoint: bytes,
    read: Callable[[TileName], bytes],
    leaves: Callable[[int, int], Iterator[bytes]],
    *,
    tiles_max: int = TILES_MAX,
) -> Glance:
    """Compare the newest checkpoint with its key, the tiles with its root, and the newest entries with the tiles.

    Raises Broken (`ledger.corrupt`); OSError, and what `read` and `leaves` do.
    """
    try:
        signed = verified_checkpoint(checkpoint, origin=key.name, log_keys=(key,))
    except (Malformed, Unverified) as error:
        raise _damaged("checkpoint", error) from None
    entries_from = max(0, signed.size - ENTRIES_MAX)
    try:
        hash_at = verified_hash_reader(signed.size, signed.root, read)
        for index, leaf in enumerate(leaves(entries_from, signed.size), entries_from):
            if leaf_hash(leaf) != hash_at(0, index):
                raise LEDGER_CORRUPT(f"entry {index} in `tile/entries` is not the one that was signed over")
        # The upper tiles first: all others lead to the root through them. Of each level the newest.
        hashes_from = signed.size // TILE_WIDTH * TILE_WIDTH
        for level in range(TILE_LEVELS - 1, -1, -1):
            full = (signed.size >> TILE_HEIGHT * level) // TILE_WIDTH
            for tile in range(full - 1, max(-1, full - 1 - tiles_max), -1):
                hash_at(TILE_HEIGHT * level, tile * TILE_WIDTH)
                tiles_max -= 1
                hashes_from = tile * TILE_WIDTH if not level else hashes_from
    except (Malformed, Unverified) as error:
        raise _damaged("tile", error) from None
    return Glance(size=signed.size, hashes_from=hashes_from, entries_from=entries_from)


def _damaged(where: str, error: Malformed | Unverified) -> Broken:
    return LEDGER_CORRUPT(f"ledger is damaged in {shown(where)}: {error.message}")

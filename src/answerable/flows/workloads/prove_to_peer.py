"""Prove an entry of a shard to a verifier that trusts only the log of logs."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from answerable.core.ledger.shard_proof import ShardProof
from answerable.core.ledger.shards import ShardHead, covered_shard, members_of
from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.note import Note
from answerable.core.tlog.tile import TILE_WIDTH
from answerable.errors import Malformed, Unverified, shown
from answerable.errors.codes.tlog import PROOF_INDEX_RANGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.ports.published_log import PublishedLog


def prove_to_peer(index: int, *, shard: PublishedLog, heads: PublishedLog) -> ShardProof:
    """Prove an entry against the newest head of its shard, and that head against the log of logs: against its newest
    cosigned checkpoint if that covers the head.

    Raises Malformed (`proof.index_range`) while no head under a checkpoint covers the entry, and as the port does.
    """
    key = shard.key()
    for place, leaf, head in _heads_newest_first(heads, key.name if key is not None else ""):
        if index >= head.size:
            break
        under = next(note for note in (heads.cosigned(), heads.checkpoint()) if note and _size(note) > place)
        return ShardProof(
            entry=shard.inclusion_proof(index, head.note()),
            head=leaf,
            under=heads.inclusion_proof(place, under),
        )
    raise PROOF_INDEX_RANGE(
        f"the log of logs has no head of shard {shown(shard.name)} that "
        f"covers entry {index} yet: try again later"
    )


def newest_head(heads: PublishedLog, origin: str) -> ShardHead | None:
    """Return the newest head of the shard `origin`, or None. Raises as the port does."""
    return next((head for _, _, head in _heads_newest_first(heads, origin)), None)


def _heads_newest_first(heads: PublishedLog, origin: str) -> Iterator[tuple[int, bytes, ShardHead]]:
    newest = heads.checkpoint()
    stop = _size(newest) if newest else 0
    while stop:
        start = (stop - 1) // TILE_WIDTH * TILE_WIDTH
        places = enumerate(heads.leaves(start, stop), start)
        for place, leaf in reversed(list(places)):
            if covered_shard(leaf) == origin:
                with suppress(Malformed, Unverified):
                    yield place, leaf, ShardHead.of_leaf(members_of(leaf))
        stop = start


def _size(note: bytes) -> int:
    return Checkpoint.parse(Note.parse(note).text).size

"""Read the shard heads in a log of logs, check their signatures, and compare each with the head before.

Laws:
- heads of one shard are signed by one key, and their sizes never shrink;
- an entry that is no valid head is an error that names the entry, and is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from answerable.core.ledger.codec import (
    SEGMENT_BYTES_MAX,
    SEGMENT_HEADER_BYTES,
    SegmentHeader,
    decode_frame,
)
from answerable.core.ledger.shards import ShardGap, ShardHead, checked_shard_name, members_of
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.tile import TILE_WIDTH, decode_bundle
from answerable.errors import Malformed, Unverified, shown
from answerable.verify.report import Finding
from answerable.verify.tiles import BUNDLE_BYTES_MAX, ENTRIES, content_of, listed_tiles, name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_SEGMENT_NAME: Final = re.compile(r"[0-9a-f]{16}\.wal")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadAt:
    """A head and its index in the log of logs."""

    index: int
    head: ShardHead


class _Peek(msgspec.Struct):
    tag: int


_PEEK: Final = msgspec.json.Decoder(_Peek)


def read_heads(directory: Path, found: Callable[[Finding], None]) -> dict[str, list[HeadAt]]:
    """Return the heads in a log of logs, by the origin of their shard, in order. `found` is called with each fault.

    This does not verify the log of logs itself, which is verified like any other. Raises OSError.
    """
    heads: dict[str, list[HeadAt]] = {}
    for index, encoded in stored_leaves(directory):
        try:
            tag = _PEEK.decode(encoded).tag
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if tag not in (Tag.SHARD_HEAD, Tag.GAP):
            continue
        try:
            leaf = members_of(encoded)
            if tag == Tag.GAP:
                _told(ShardGap.of_leaf(leaf), index, found)
                continue
            head = ShardHead.of_leaf(leaf)
        except Unverified as fault:
            found(_wrong("shard_head.signature", f"head of a shard: {fault.message}", index))
            continue
        except Malformed as fault:
            found(_wrong("shard_head.leaf", f"not the head of a shard: {fault.message}", index))
            continue
        history = heads.setdefault(head.origin, [])
        fault_rule = _order_fault(history[-1].head, head) if history else None
        if fault_rule is not None:
            found(_wrong(*fault_rule, index))
        if fault_rule is None or fault_rule[0] != "shard_head.key":
            history.append(HeadAt(index=index, head=head))
    return heads


def shard_of(origin: str, base: str) -> str | None:
    """Return the name of the shard with this origin in the set whose origins begin with `base`; None if there is
    none."""
    name = origin.removeprefix(f"{base}/")
    try:
        return checked_shard_name(name) if name != origin else None
    except Malformed:
        return None


def stored_leaves(directory: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the readable leaves of a log with their indexes, from segments or else from bundles.

    Raises OSError.
    """
    wal = directory / "wal"
    names = sorted(path.name for path in wal.iterdir()) if wal.is_dir() else []
    segments = [name for name in names if _SEGMENT_NAME.fullmatch(name)]
    for name in segments:
        # The verification of this log has already reported a file that is too large or not a plain file.
        if (wal / name).is_file() and (wal / name).stat().st_size <= SEGMENT_BYTES_MAX:
            yield from _in_segment((wal / name).read_bytes())
    if not segments:
        yield from _in_bundles(directory)


def _in_segment(content: bytes) -> Iterator[tuple[int, bytes]]:
    try:
        index, offset = SegmentHeader.parse(content).first_index, SEGMENT_HEADER_BYTES
        while (frame := decode_frame(content, offset)) is not None:
            yield index, frame.leaf
            index, offset = index + 1, frame.end
    except (Malformed, Unverified):
        # The verification of this log has already reported this.
        return


def _in_bundles(directory: Path) -> Iterator[tuple[int, bytes]]:
    tiles = listed_tiles(directory, 0)
    reach = tiles.reach.get(ENTRIES, 0) if tiles is not None else 0
    for index in range(-(-reach // TILE_WIDTH)):
        widths = tiles.partials.get((ENTRIES, index), ()) if tiles is not None else ()
        for width in (TILE_WIDTH, *reversed(widths)):
            content = content_of(directory, name_of(ENTRIES, index, width), BUNDLE_BYTES_MAX)
            if content is None:
                continue
            try:
                yield from enumerate(decode_bundle(content, count=width), index * TILE_WIDTH)
            except Malformed:
                return
            break


def _order_fault(before: ShardHead, head: ShardHead) -> tuple[str, str] | None:
    name = shown(head.origin)
    if head.key != before.key:
        return "shard_head.key", f"shard {name} has another key than in its previous head"
    if head.size < before.size:
        return "shard_head.order", f"shard {name} went from {before.size} entries back to {head.size}"
    if head.size == before.size and head.checkpoint != before.checkpoint:
        return "shard_head.root", f"shard {name} has two histories of {head.size} entries"
    return None


def _told(gap: ShardGap | None, index: int, found: Callable[[Finding], None]) -> None:
    if gap is not None:
        message = f"shard {shown(gap.origin)} is not covered after {gap.covered} entries: {shown(gap.why)}"
        found(Finding(rule="shard.gap", severity="warning", message=message, index=index, file="heads"))


def _wrong(rule: str, message: str, index: int) -> Finding:
    return Finding(rule=rule, severity="error", message=message, index=index, file="heads")

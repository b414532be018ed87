"""Tiles and entry bundles (C2SP tlog-tiles): names, bytes, and reading trees from tiles.

Laws:
- a name has one spelling and a bundle one encoding: what parses is written back byte for byte;
- `verified_hash_reader` returns no hash before the tile that contains it was verified against the root;
- whatever the size of the tree, at most `TILES_KEPT` full tiles are in memory, and the right edge of eight.

Level 0 contains leaf hashes; each hash of a higher level is the root over a full tile below. A tile is partial only at
the right edge, and a partial tile is never hashed into the level above.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from answerable.core.tlog.merkle import HASH_BYTES, SIZE_MAX, CompactRange, HashReader, reader_over
from answerable.errors import Malformed
from answerable.errors.codes.tlog import (
    TILE_BUNDLE,
    TILE_ENTRY_SIZE,
    TILE_HASH_MISMATCH,
    TILE_LENGTH,
    TILE_NAME,
    TILE_RANGE,
    TILE_ROOT_MISMATCH,
    TLOG_SIZE_RANGE,
)

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 256
TILE_LEVELS: Final = 8
"""Levels of a tree of at most 2**64 - 1 leaves."""
LEVEL_MAX: Final = 63
INDEX_MAX: Final = 2**56 - 1
ENTRY_BYTES_MAX: Final = 65_535
TILES_KEPT: Final = 32

_PATH: Final = re.compile(
    r"tile/(entries|[0-9]{1,2})/((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TileName:
    """The name of a tile: `level` (None for a bundle of entries), `index` in its level, `width` in hashes or
    entries."""

    level: int | None
    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        if (
            not 0 <= (self.level or 0) <= LEVEL_MAX
            or not 0 <= self.index <= INDEX_MAX
            or not 1 <= self.width <= TILE_WIDTH
        ):
            raise TILE_NAME(f"no tile at level {self.level}, index {self.index}, width {self.width}")

    @property
    def path(self) -> str:
        """The path below the log's prefix, as `parse_tile_path` reads it."""
        digits = str(self.index)
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        folders = "".join(f"x{digits[at : at + 3]}/" for at in range(0, len(digits) - 3, 3))
        level = "entries" if self.level is None else str(self.level)
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{folders}{digits[-3:]}{partial}"


ReadTile: TypeAlias = Callable[[TileName], bytes]
"""Reads the bytes of one tile, with exactly the width in its name."""


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """Return the path of a tile of hashes. Raises Malformed for numbers that no tile has."""
    return TileName(level=level, index=index, width=width).path


def entries_path(index: int, width: int = TILE_WIDTH) -> str:
    """Return the path of a bundle of entries. Raises Malformed for numbers that no bundle has."""
    return TileName(level=None, index=index, width=width).path


def parse_tile_path(path: str) -> TileName | None:
    """Return the tile name of a path, or None for any other text."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    level, index, width = match.groups()
    try:
        name = TileName(
            level=None if level == "entries" else int(level),
            index=int(re.sub("[x/]", "", index)),
            width=TILE_WIDTH if width is None else int(width),
        )
    except Malformed:
        return None
    # Leading zeros, and an explicit width of 256, are not canonical.
    return name if name.path == path else None


def tiles_of(size: int, *, since: int = 0) -> Iterator[TileName]:
    """Yield every bundle and tile that a tree of `size` leaves has and a tree of `since` leaves does not.

    Bundles come first, then tiles by level, so that a reader who finds a tile finds the tiles below it. Raises
    Malformed unless 0 <= since <= size.
    """
    if not 0 <= since <= size <= SIZE_MAX:
        raise TLOG_SIZE_RANGE(f"no tiles between size {since} and size {size}")
    return _tiles(size, since)


def _tiles(size: int, since: int) -> Iterator[TileName]:
    for level in (None, *range(TILE_LEVELS)):
        height = TILE_HEIGHT * (level or 0)
        had, have = since >> height, size >> height
        if had == have:
            continue
        for index in range(had // TILE_WIDTH, -(-have // TILE_WIDTH)):
            yield TileName(level=level, index=index, width=min(TILE_WIDTH, have - index * TILE_WIDTH))


# ---- bytes


def encode_bundle(leaves: Sequence[bytes]) -> bytes:
    """Encode a bundle of 1 to 256 entries. Raises Malformed for more, none, or an entry over 65,535 bytes."""
    _require_count(len(leaves))
    for leaf in leaves:
        if len(leaf) > ENTRY_BYTES_MAX:
            raise TILE_ENTRY_SIZE(f"entry of {len(leaf)} bytes, expected at most {ENTRY_BYTES_MAX}")
    return b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves)


def decode_bundle(content: bytes, *, count: int) -> list[bytes]:
    """Decode the entries of a bundle of exactly `count` entries. Raises Malformed."""
    _require_count(count)
    entries: list[bytes] = []
    at = 0
    for _ in range(count):
        start = at + 2
        at = start + int.from_bytes(content[at:start], "big")
        if max(start, at) > len(content):
            raise TILE_BUNDLE(f"bundle ends in entry {len(entries)} of {count}")
        entries.append(content[start:at])
    if at != len(content):
        raise TILE_BUNDLE(f"{len(content) - at} bytes after the {count} entries of a bundle")
    return entries


def tile_hashes(content: bytes, *, width: int) -> list[bytes]:
    """Split a tile into its hashes. Raises Malformed unless there are exactly `width`."""
    if len(content) != width * HASH_BYTES:
        raise TILE_LENGTH(f"tile of {len(content)} bytes, expected {width} hashes of {HASH_BYTES}")
    return [content[at : at + HASH_BYTES] for at in range(0, len(content), HASH_BYTES)]


def _require_count(count: int) -> None:
    if not 1 <= count <= TILE_WIDTH:
        raise TILE_BUNDLE(f"bundle of {count} entries, expected 1 to {TILE_WIDTH}")


# ---- trees


def hash_reader(size: int, read_tile: ReadTile) -> HashReader:
    """Return a reader of the hashes of the tree of `size` leaves, from trusted tiles, such as our own.

    The reader raises Malformed for a subtree that the tree does not have, or a tile of another length than its name
    states.
    """
    _require_size(size)

    @lru_cache(maxsize=TILES_KEPT)
    def tile(level: int, index: int) -> HashReader:
        width = min(TILE_WIDTH, (size >> TILE_HEIGHT * level) - index * TILE_WIDTH)
        return _read(TileName(level=level, index=index, width=width), read_tile)

    return _reader(size, tile)


def verified_hash_reader(size: int, root: bytes, read_tile: ReadTile) -> HashReader:
    """Return a verifying reader of the hashes of the tree of `size` leaves with this root, from untrusted tiles.

    Reads the right edge at once, and with each further tile the tiles above it. Raises Unverified, step `tile.root`, if
    the right edge does not have this root; the reader raises step `tile.hash` if a tile does not hash to its place in
    the tile above; both raise Malformed as `hash_reader`.
    """
    edge = _edge(size, read_tile)
    if _range_of(size, edge).root() != root:
        raise TILE_ROOT_MISMATCH()

    @lru_cache(maxsize=TILES_KEPT)
    def tile(level: int, index: int) -> HashReader:
        if index == size >> TILE_HEIGHT * (level + 1):
            return edge[level]
        name = TileName(level=level, index=index)
        hash_at = _read(name, read_tile)
        if hash_at(TILE_HEIGHT, 0) != tile(level + 1, index // TILE_WIDTH)(0, index % TILE_WIDTH):
            raise TILE_HASH_MISMATCH(f"{name.path} does not lead to the root")
        return hash_at

    return _reader(size, tile)


def edge_from_tiles(size: int, read_tile: ReadTile) -> CompactRange:
    """Return the compact range at `size`, from the partial tiles alone: at most eight. Raises Malformed as
    `hash_reader`.

    Its root depends on every byte of these tiles, so comparing it with a signed root verifies them.
    """
    return _range_of(size, _edge(size, read_tile))


def _edge(size: int, read_tile: ReadTile) -> dict[int, HashReader]:
    """Return the partial tiles, by level."""
    _require_size(size)
    edge: dict[int, HashReader] = {}
    for level in range(TILE_LEVELS):
        count = size >> TILE_HEIGHT * level
        index, width = divmod(count, TILE_WIDTH)
        if width:
            edge[level] = _read(TileName(level=level, index=index, width=width), read_tile)
    return edge


def _range_of(size: int, edge: dict[int, HashReader]) -> CompactRange:
    hashes: list[bytes] = []
    for level in sorted(edge, reverse=True):
        width, start = (size >> TILE_HEIGHT * level) % TILE_WIDTH, 0
        for height in range(TILE_HEIGHT - 1, -1, -1):
            if width >> height & 1:
                hashes.append(edge[level](height, start >> height))
                start += 1 << height
    return CompactRange.restored(size=size, hashes=hashes)


def _read(name: TileName, read_tile: ReadTile) -> HashReader:
    """Return a reader over one tile, treated as a tree of its own."""
    return reader_over(tile_hashes(read_tile(name), width=name.width))


def _reader(size: int, tile: Callable[[int, int], HashReader]) -> HashReader:
    def hash_at(level: int, index: int) -> bytes:
        if not 0 <= level <= LEVEL_MAX or not 0 <= index < size >> level:
            raise TILE_RANGE(f"no complete subtree {index} of level {level} in a tree of {size} leaves")
        tile_level, height = divmod(level, TILE_HEIGHT)
        in_tile = TILE_WIDTH >> height
        return tile(tile_level, index // in_tile)(height, index % in_tile)

    return hash_at


def _require_size(size: int) -> None:
    if not 0 <= size <= SIZE_MAX:
        raise TLOG_SIZE_RANGE(f"tree size {size} out of range")

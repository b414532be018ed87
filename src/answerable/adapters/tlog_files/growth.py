"""Maintain the right edge of a growing tree, as its partial tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.adapters.tlog_files.tiles import damaged
from answerable.core.tlog.merkle import leaf_hash, root_of
from answerable.core.tlog.tile import (
    TILE_HEIGHT,
    TILE_WIDTH,
    TileName,
    decode_bundle,
    edge_from_tiles,
    encode_bundle,
    tile_hashes,
)
from answerable.errors import Malformed

if TYPE_CHECKING:
    from answerable.adapters.tlog_files.tiles import TileFiles


class Growth:
    """A tree of `size` leaves that can grow. Hashes of inner nodes are computed from the tiles' own bytes.

    ready: full tiles that `taken` has not returned yet. full: names of all tiles that became full.
    """

    def __init__(self, size: int, levels: list[list[bytes]], leaves: list[bytes]) -> None:
        self.size = size
        self.ready: list[tuple[TileName, bytes]] = []
        self.full: list[TileName] = []
        self._start = size
        self._levels = levels
        self._leaves = leaves

    @classmethod
    def empty(cls) -> Growth:
        """Return a tree without leaves."""
        return cls(0, [[]], [])

    @classmethod
    def stored(cls, tiles: TileFiles, size: int) -> Growth:
        """Load the tree of this size from its tiles. `root` must be compared to know whether they are correct.

        Raises Broken (`ledger.corrupt`) if a tile is missing or inconsistent with its neighbours; OSError passes
        through.
        """
        if size == 0:
            return cls.empty()
        levels: list[list[bytes]] = []
        while not levels or size >> TILE_HEIGHT * len(levels):
            levels.append(_edge_tile(tiles, size, len(levels)))
        leaves: list[bytes] = []
        index, width = divmod(size, TILE_WIDTH)
        if width:
            name = TileName(level=None, index=index, width=width)
            try:
                leaves = decode_bundle(tiles.read(name), count=width)
            except Malformed as error:
                raise damaged(name, error.message) from None
            for number, (leaf, hashed) in enumerate(zip(leaves, levels[0], strict=True)):
                if leaf_hash(leaf) != hashed:
                    raise damaged(name, f"entry {index * TILE_WIDTH + number} is not the one in the tree")
        return cls(size, levels, leaves)

    def append(self, leaf: bytes, hashed: bytes) -> None:
        """Append one entry. hashed: its leaf hash."""
        self._leaves.append(leaf)
        self._levels[0].append(hashed)
        self.size += 1
        if len(self._leaves) == TILE_WIDTH:
            self._fill()

    def root(self) -> bytes:
        """Return the root hash of the tree so far."""
        return edge_from_tiles(self.size, lambda name: b"".join(self._levels[name.level or 0])).root()

    def taken(self) -> list[tuple[TileName, bytes]]:
        """Return the full tiles since the last call."""
        taken, self.ready = self.ready, []
        return taken

    def partials(self) -> list[tuple[TileName, bytes]]:
        """Return the partial tiles that are not in files yet."""
        found = []
        for level, hashes in enumerate(self._levels):
            height = TILE_HEIGHT * level
            if hashes and self._start >> height != self.size >> height:
                index = self.size >> height + TILE_HEIGHT
                if level == 0:
                    bundle = TileName(level=None, index=index, width=len(hashes))
                    found.append((bundle, encode_bundle(self._leaves)))
                found.append((TileName(level=level, index=index, width=len(hashes)), b"".join(hashes)))
        return found

    def _fill(self) -> None:
        index = (self.size >> TILE_HEIGHT) - 1
        self._made(TileName(level=None, index=index), encode_bundle(self._leaves))
        self._leaves = []
        level = 0
        while len(self._levels[level]) == TILE_WIDTH:
            content = b"".join(self._levels[level])
            self._made(TileName(level=level, index=index), content)
            self._levels[level] = []
            level, index = level + 1, index >> TILE_HEIGHT
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(root_of(tile_hashes(content, width=TILE_WIDTH)))

    def _made(self, name: TileName, content: bytes) -> None:
        self.ready.append((name, content))
        self.full.append(name)


def _edge_tile(tiles: TileFiles, size: int, level: int) -> list[bytes]:
    """Return the hashes of the partial tile of a level; empty if there is none."""
    index, width = divmod(size >> TILE_HEIGHT * level, TILE_WIDTH)
    if not width:
        return []
    return tile_hashes(tiles.read(TileName(level=level, index=index, width=width)), width=width)

"""Check that tiles and bundles match the entries.

Law: a tile has exactly one valid content, which follows from the entries; every byte and the length are compared. Tiles
of earlier sizes of the log may exist, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.tlog.merkle import HASH_BYTES
from answerable.core.tlog.tile import TILE_WIDTH, decode_bundle
from answerable.errors import Malformed
from answerable.verify.entry_range import complete_root
from answerable.verify.report import Finding, Findings
from answerable.verify.tiles import BUNDLE_BYTES_MAX, ENTRIES, LEVELS_MAX, content_of, is_full_now, name_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from answerable.verify.entry_range import EntryRange, Orders, Reading
    from answerable.verify.tiles import TilesThere


def block_check(orders: Orders, reading: Reading, entry_range: EntryRange) -> BlockCheck | None:
    """Return the comparison of tiles with the entries of a range; None if there are no tiles."""
    return None if orders.tiles is None else BlockCheck(orders.directory, orders.tiles, reading, entry_range)


class BlockCheck:
    """Compares the hash tiles of the lowest level and the bundles with the entries of one range."""

    def __init__(self, directory: Path, tiles: TilesThere, reading: Reading, entry_range: EntryRange) -> None:
        self._directory, self._tiles = directory, tiles
        self._hashes = reading.hashes
        self._findings = entry_range.findings
        self._next = entry_range.first
        self._leaves: list[bytes] = []

    def take(self, leaf: bytes) -> None:
        """Take the next entry, whose hash is already in `reading`."""
        self._leaves.append(leaf)
        self._next += 1
        if not self._next % TILE_WIDTH:
            self.finish()

    def finish(self) -> None:
        """Compare the entries taken since the last complete block."""
        leaves, self._leaves = self._leaves, []
        if not leaves:
            return
        first = self._next - len(leaves)
        index, start = divmod(first, TILE_WIDTH)
        hashes = b"".join(self._hashes[-len(leaves) :])
        for width in self._tiles.widths(0, index):
            self._hash_tile(index, width, start, hashes)
        for width in self._tiles.widths(ENTRIES, index):
            self._bundle(index, width, start, leaves)

    def _hash_tile(self, index: int, width: int, start: int, hashes: bytes) -> None:
        name = name_of(0, index, width)
        content = content_of(self._directory, name, TILE_WIDTH * HASH_BYTES)
        if content is None and width < TILE_WIDTH and is_full_now(self._directory, 0, index):
            self._hash_tile(index, TILE_WIDTH, start, hashes)
            return
        if content is None:
            self._absent(0, index, width, name)
            return
        if len(content) != width * HASH_BYTES:
            message = f"a hash tile of {len(content)} bytes, expected {width * HASH_BYTES}"
            self._wrong("tile.length", message, None, name)
            return
        at = start * HASH_BYTES
        there = content[at : at + len(hashes)]
        if there != hashes[: len(there)]:
            which = next(
                i
                for i in range(0, len(there), HASH_BYTES)
                if there[i : i + HASH_BYTES] != hashes[i : i + HASH_BYTES]
            )
            message = "the hash in the tile is not that of the entry"
            entry = index * TILE_WIDTH + start + which // HASH_BYTES
            self._wrong("tile.content", message, entry, name, at + which, at + which + HASH_BYTES)

    def _bundle(self, index: int, width: int, start: int, leaves: list[bytes]) -> None:
        name = name_of(ENTRIES, index, width)
        content = content_of(self._directory, name, BUNDLE_BYTES_MAX)
        if content is None and width < TILE_WIDTH and is_full_now(self._directory, ENTRIES, index):
            self._bundle(index, TILE_WIDTH, start, leaves)
            return
        if content is None:
            self._absent(ENTRIES, index, width, name)
            return
        try:
            bundle = decode_bundle(content, count=width)
        except Malformed as error:
            self._wrong("tile.bundle", error.message, None, name)
            return
        there = bundle[start : start + len(leaves)]
        if there != leaves[: len(there)]:
            which = next(i for i, leaf in enumerate(there) if leaf != leaves[i])
            before = sum(2 + len(leaf) for leaf in bundle[: start + which])
            message = "the leaf in the bundle is not that of the entry"
            entry = index * TILE_WIDTH + start + which
            self._wrong("tile.content", message, entry, name, before, before + 2 + len(there[which]))

    def _absent(self, level: int, index: int, width: int, name: str) -> None:
        if width < TILE_WIDTH or self._tiles.is_due(level, index):
            self._wrong("tile.missing", "a tile of the published log is missing", None, name)

    def _wrong(
        self,
        rule: str,
        message: str,
        entry: int | None,
        name: str,
        start: int | None = None,
        stop: int | None = None,
    ) -> None:
        self._findings.add(
            Finding(
                rule=rule,
                severity="error",
                message=message,
                index=entry,
                file=name,
                start=start,
                stop=stop,
            )
        )


class UpperTiles:
    """Compares the hash tiles above the lowest level, given the root of each block of entries in order."""

    def __init__(self, directory: Path, tiles: TilesThere, findings: Findings) -> None:
        self._directory, self._tiles, self._findings = directory, tiles, findings
        self._rows: list[list[bytes]] = [[] for _ in range(LEVELS_MAX + 1)]
        self._counts = [0] * (LEVELS_MAX + 1)

    def take(self, root: bytes, level: int = 1) -> None:
        """Take the next hash of a level."""
        row = self._rows[level]
        row.append(root)
        if len(row) == TILE_WIDTH:
            self._compare(level, row)
            self._counts[level] += 1
            self._rows[level] = []
            if level < LEVELS_MAX:
                self.take(complete_root(row), level + 1)

    def finish(self) -> None:
        """Compare the tiles that are not full."""
        for level, row in enumerate(self._rows):
            if row:
                self._compare(level, row)

    def _compare(self, level: int, row: Sequence[bytes]) -> None:
        index = self._counts[level]
        expected = b"".join(row)
        for width in self._tiles.widths(level, index):
            if width > len(row):
                # Tiles beyond the log are reported once, for all of them together.
                continue
            name = name_of(level, index, width)
            content = content_of(self._directory, name, TILE_WIDTH * HASH_BYTES)
            if content is None and width < TILE_WIDTH and is_full_now(self._directory, level, index):
                name = name_of(level, index, TILE_WIDTH)
                content = (content_of(self._directory, name, TILE_WIDTH * HASH_BYTES) or b"")[
                    : width * HASH_BYTES
                ]
            if content is None and (width < TILE_WIDTH or self._tiles.is_due(level, index)):
                self._wrong("tile.missing", "a tile of the published log is missing", name)
            elif content is not None and content != expected[: width * HASH_BYTES]:
                self._wrong("tile.content", "the hash tile is not that of the entries", name)

    def _wrong(self, rule: str, message: str, name: str) -> None:
        self._findings.add(Finding(rule=rule, severity="error", message=message, file=name))

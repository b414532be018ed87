"""List the tiles and bundles of a log's public part, and determine which must exist."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from answerable.core.tlog.tile import (
    TILE_HEIGHT,
    TILE_WIDTH,
    entries_path,
    parse_tile_path,
    tile_path,
)
from answerable.plain_file import open_plain

if TYPE_CHECKING:
    from pathlib import Path

ENTRIES: Final = -1
"""The level that denotes entry bundles."""
BUNDLE_BYTES_MAX: Final = TILE_WIDTH * (2 + 65_535)
LEVELS_MAX: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TilesThere:
    """The tiles of a log. published: size of the newest checkpoint. partials: widths of partial tiles, by level and
    index. reach: by level, the number of entries of that level that the tiles cover. strangers: files that are no
    tiles."""

    published: int
    partials: dict[tuple[int, int], tuple[int, ...]] = field(default_factory=dict)
    reach: dict[int, int] = field(default_factory=dict)
    strangers: tuple[str, ...] = ()

    @property
    def bundles(self) -> int:
        """The number of bundles, judged by the last one."""
        return -(-self.reach.get(ENTRIES, 0) // TILE_WIDTH)

    def widths(self, level: int, index: int) -> tuple[int, ...]:
        """Return the widths of the tiles that may exist at this position, the full one first."""
        return (TILE_WIDTH, *self.partials.get((level, index), ()))

    def is_due(self, level: int, index: int) -> bool:
        """Whether the published log must have this tile in full."""
        return self.published >> TILE_HEIGHT * (max(level, 0) + 1) > index

    def beyond(self, size: int) -> list[int]:
        """Return the levels whose tiles extend beyond a log of this size."""
        return [level for level, reach in self.reach.items() if reach > size >> TILE_HEIGHT * max(level, 0)]


def listed_tiles(directory: Path, published: int) -> TilesThere | None:
    """Read the listing of `tile/`; None if there is no such directory. Raises OSError."""
    root = directory / "tile"
    if not root.is_dir():
        return None
    partials: dict[tuple[int, int], list[int]] = {}
    reach: dict[int, int] = {}
    strangers: list[str] = []
    for place, _, names in os.walk(root):
        start = os.path.relpath(place, directory).replace(os.sep, "/")
        for name in names:
            tile = parse_tile_path(f"{start}/{name}")
            if tile is None:
                strangers.append(f"{start}/{name}")
                continue
            level = ENTRIES if tile.level is None else tile.level
            if tile.width < TILE_WIDTH:
                partials.setdefault((level, tile.index), []).append(tile.width)
            reach[level] = max(reach.get(level, 0), tile.index * TILE_WIDTH + tile.width)
    return TilesThere(
        published=published,
        partials={place: tuple(sorted(widths)) for place, widths in partials.items()},
        reach=reach,
        strangers=tuple(sorted(strangers)),
    )


def missing_edge(directory: Path, tiles: TilesThere) -> list[str]:
    """Return the names of the tiles at the right edge of the published log that exist neither partial nor full."""
    missing = []
    for level in (ENTRIES, *range(LEVELS_MAX)):
        at = tiles.published >> TILE_HEIGHT * max(level, 0)
        index, width = divmod(at, TILE_WIDTH)
        is_listed = not width or width in tiles.partials.get((level, index), ())
        if not is_listed and not is_full_now(directory, level, index):
            missing.append(name_of(level, index, width))
    return missing


def is_full_now(directory: Path, level: int, index: int) -> bool:
    """Whether the full tile exists. A log that grows during the verification removes its partial tiles after they were
    listed."""
    return (directory / name_of(level, index, TILE_WIDTH)).is_file()


def name_of(level: int, index: int, width: int) -> str:
    """Return the path of a tile or bundle, relative to the log's directory."""
    return entries_path(index, width) if level == ENTRIES else tile_path(level, index, width)


def content_of(directory: Path, name: str, bytes_max: int) -> bytes | None:
    """Return the file's bytes; None if it does not exist, and one byte too many if it is too long."""
    try:
        with open_plain(directory / name) as opened:
            # Allocating `bytes_max` each time would cost time to clear; a file that grows meanwhile yields one byte too
            # many.
            size = min(os.fstat(opened.fileno()).st_size, bytes_max)
            return opened.read(size + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None

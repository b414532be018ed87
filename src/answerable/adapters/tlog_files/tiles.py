"""Store tiles as files (C2SP tlog-tiles): derived from the segments, and never trusted without being read back.

A partial tile is kept until the full one exists and a checkpoint over it is published. What a damaged tile was is kept
when it is made again: somebody may have written it.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

from answerable.adapters.tlog_files import directory as files
from answerable.core.tlog.merkle import HASH_BYTES
from answerable.core.tlog.tile import TILE_WIDTH, TileName, decode_bundle, encode_bundle
from answerable.errors import Broken, Malformed, shown
from answerable.errors.codes.ledger import LEDGER_CORRUPT
from answerable.plain_file import read_plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path


class TileFiles:
    """The tiles of one log. Thread-safe; OSError passes through every method."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._unfinished = directory / files.UNFINISHED
        self._numbers = count()
        self._writing = threading.Lock()
        self._keeps_damaged = False

    def keep_damaged(self) -> None:
        """From now on, keep each tile that is replaced by another content, as a file in `tile.damaged`."""
        self._keeps_damaged = True

    def read(self, name: TileName) -> bytes:
        """Return the bytes of a tile, cut from a wider one if no partial tile of this width exists.

        Raises Broken (`ledger.corrupt`) for a missing tile, or a hash tile of another length.
        """
        for width in (name.width, *self._wider(name)):
            with suppress(FileNotFoundError):
                found = replace(name, width=width)
                return _cut(found, read_plain(self._directory / found.path), name.width)
        raise damaged(name, "it is missing")

    def write(self, contents: Sequence[tuple[TileName, bytes]]) -> None:
        """Write tiles durably, and read them back. Raises Broken (`ledger.corrupt`).

        1. Write every tile to a file of its own beside the tree, and sync it. A crash leaves files that are never
           read; the next opening removes them.
        2. Rename them into place. A crash leaves some of them, each complete: their content is correct, and no
           checkpoint covers it yet. The next seal writes them again.
        3. Sync the directories, and compare the content of the files with what was written.
        """
        with self._writing:
            drafts: list[tuple[int, Path]] = []
            try:
                for _, content in contents:
                    drafts.append(self._draft())
                    files.write_all(drafts[-1][0], content, 0)
                for fd, _ in drafts:
                    os.fsync(fd)
                self._settle([(path, name) for (_, path), (name, _) in zip(drafts, contents, strict=True)])
            finally:
                for fd, path in drafts:
                    os.close(fd)
                    with suppress(OSError):
                        path.unlink()
            # While the lock is held: a faster seal removes partial tiles when the full ones exist.
            for name, content in contents:
                if read_plain(self._directory / name.path) != content:
                    raise damaged(name, "it is not what was written")

    def drop_partials(self, full: Iterable[TileName]) -> None:
        """Remove partial tiles whose full ones exist. One that cannot be removed is harmless."""
        with self._writing:
            for name in full:
                partials = (self._directory / name.path).with_suffix(".p")
                if partials.is_dir():
                    with suppress(OSError):
                        for path in partials.iterdir():
                            path.unlink()
                        partials.rmdir()

    def sweep(self) -> None:
        """Remove files that a crash left while writing tiles. For opening, before anything is written."""
        for path in self._unfinished.iterdir():
            path.unlink()

    def _wider(self, name: TileName) -> Iterator[int]:
        """Yield the widths of tiles that contain this one; used only if this one is missing."""
        if name.width < TILE_WIDTH:
            folder = (self._directory / name.path).parent
            # The process that writes may remove it at any moment, once the full tile exists.
            with suppress(FileNotFoundError):
                yield from sorted(
                    width for path in folder.iterdir() if (width := int(path.name)) > name.width
                )
            yield TILE_WIDTH

    def _draft(self) -> tuple[int, Path]:
        path = self._unfinished / str(next(self._numbers))
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), path

    def _settle(self, finished: Sequence[tuple[Path, TileName]]) -> None:
        """Rename drafts into place and sync every changed directory, the upper ones last."""
        changed: set[Path] = set()
        for draft, name in finished:
            path = self._directory / name.path
            self._make(path.parent, changed)
            if self._keeps_damaged:
                self._put_aside(path, draft, changed)
            draft.replace(path)
            changed.add(path.parent)
        for folder in sorted(changed, key=lambda one: len(one.parts), reverse=True):
            files.sync_directory(folder)

    def _put_aside(self, path: Path, draft: Path, changed: set[Path]) -> None:
        """Move a tile that the draft would replace by another content."""
        if not os.path.lexists(path):
            return
        with suppress(OSError):
            if read_plain(path) == draft.read_bytes():
                return
        folder = self._directory / files.DAMAGED
        self._make(folder, changed)
        changed.add(folder)
        name = "-".join(path.relative_to(self._directory).parts)
        kept = next(one for number in count(1) if not (one := folder / f"{name}.{number}").exists())
        path.rename(kept)

    def _make(self, folder: Path, changed: set[Path]) -> None:
        """Create a folder like `mkdir -p`, for the owner only. Adds the folders that got a new entry to `changed`."""
        if not folder.is_dir():
            self._make(folder.parent, changed)
            folder.mkdir(mode=0o700)
            changed.add(folder.parent)


def _cut(found: TileName, content: bytes, width: int) -> bytes:
    """Return the first `width` hashes or entries of a tile."""
    if found.level is not None:
        if len(content) != found.width * HASH_BYTES:
            raise damaged(found, f"it has {len(content)} bytes, expected {found.width * HASH_BYTES}")
        return content[: width * HASH_BYTES]
    if width == found.width:
        return content
    try:
        return encode_bundle(decode_bundle(content, count=found.width)[:width])
    except Malformed as error:
        raise damaged(found, error.message) from None


def damaged(name: TileName, fault: str) -> Broken:
    """Return the error that names a damaged tile."""
    return LEDGER_CORRUPT(f"ledger is damaged in {shown(name.path)}: {fault}")

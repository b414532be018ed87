"""Read another process's log, including the sealed fields, while that process may be writing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.adapters.tlog_files.opening import port_errors
from answerable.adapters.tlog_files.published import PublishedFiles
from answerable.adapters.tlog_files.recovery import read_stored
from answerable.adapters.tlog_files.replaying import Replay
from answerable.adapters.tlog_files.tiles import TileFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from answerable.adapters.tlog_files.recovery import Stored
    from answerable.core.ledger.entry import StoredEntry


class StoredFiles:
    """Implements ports.stored_log.StoredLog over one directory, which may not exist. Takes no lock."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._published = PublishedFiles(directory)

    @property
    def name(self) -> str:
        """The directory's name."""
        return self._directory.name

    def origin(self) -> str:
        key = self._published.key()
        return key.name if key is not None else ""

    def entries(self, start: int) -> Iterator[StoredEntry]:
        found = self.snapshot()
        if found is not None:
            yield from found.replay(start)

    def snapshot(self) -> StoredSnapshot | None:
        """Return what the log has now; None where there is no log. Raises as `entries`."""
        key = self._published.key()
        if key is None:
            return None
        with port_errors("cannot read a log"):
            stored = read_stored(self._directory, keys=(key,), tiles=TileFiles(self._directory))
        return StoredSnapshot(key.name, stored)


class StoredSnapshot:
    """Implements ports.stored_log.LogSnapshot. Created by `StoredFiles.snapshot`."""

    def __init__(self, origin: str, stored: Stored) -> None:
        self._origin, self._extent = origin, stored.extent
        self._replay = Replay(stored.places)

    @property
    def origin(self) -> str:
        return self._origin

    @property
    def size(self) -> int:
        return self._extent.size

    def replay(self, start: int = 0) -> Iterator[StoredEntry]:
        return self._replay.entries(start, self._extent)

    def entry(self, index: int) -> StoredEntry:
        return self._replay.entry(index, self._extent)

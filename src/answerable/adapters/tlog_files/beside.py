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
        key = self._published.key()
        if key is None:
            return
        with port_errors("cannot read a log"):
            stored = read_stored(self._directory, keys=(key,), tiles=TileFiles(self._directory))
        yield from Replay(stored.places).entries(start, stored.extent)

"""Read another process's log beside it, up to the number of entries that this process says are durable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.adapters.tlog_files import directory as files
from answerable.adapters.tlog_files.offsets import OffsetFiles
from answerable.adapters.tlog_files.opening import port_errors
from answerable.adapters.tlog_files.places import Extent, Place, segment_of
from answerable.adapters.tlog_files.published import PublishedFiles
from answerable.adapters.tlog_files.replaying import Replay
from answerable.errors import shown
from answerable.errors.codes.ledger import LEDGER_NO_COPY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from answerable.adapters.tlog_files.offsets import Check
    from answerable.core.ledger.entry import StoredEntry


class FollowedFiles:
    """Implements ports.stored_log.LogSnapshot over a growing log: the entries up to what `reach` was last given. Takes
    no lock, and reads nothing twice: where entries begin is known from the reading before, and stays known in a
    directory of its own. Not thread-safe.

    Each entry is checked against its own checksum, and not against the tree: whoever writes the log has done that.
    """

    def __init__(self, directory: Path, offsets: Path, check: Check | None = None) -> None:
        """offsets: directory in which it is remembered where entries begin. check: as in `OffsetFiles`. Raises
        Malformed (`ledger.no_copy`) if there is no log, Broken, Unavailable (`ledger.unreadable`)."""
        key = PublishedFiles(directory).key()
        if key is None:
            raise LEDGER_NO_COPY(f"there is no ledger in {shown(directory)}")
        self._directory, self._origin = directory, key.name
        self._places: list[Place] = []
        self._offsets = OffsetFiles(offsets, check)
        self._replay = Replay(self._places, self._offsets)
        self._extent = Extent(size=0, chain=b"")

    def close(self) -> None:
        """Close the files. Idempotent."""
        self._offsets.close()

    @property
    def origin(self) -> str:
        return self._origin

    @property
    def size(self) -> int:
        return self._extent.size

    def reach(self, entries: int) -> None:
        """Take in the log up to this number of entries, which must be durable; fewer than before change nothing. Raises
        Unavailable (`ledger.unreadable`)."""
        if entries <= self._extent.size:
            return
        with port_errors("cannot read the log"):
            for path in files.segment_paths(self._directory)[len(self._places) :]:
                self._places.append(Place(path=path, first_index=files.first_index(path)))
        self._extent = Extent(size=entries, chain=b"", segment=segment_of(self._places, entries - 1))

    def fall_back(self, entries: int) -> None:
        """Give up what was taken in beyond this number of entries, so that it can be reached anew."""
        if entries < self._extent.size:
            segment = segment_of(self._places, entries - 1) if entries else 0
            self._extent = Extent(size=entries, chain=b"", segment=segment)

    def replay(self, start: int = 0) -> Iterator[StoredEntry]:
        return self._replay.entries(start, self._extent)

    def entry(self, index: int) -> StoredEntry:
        return self._replay.entry(index, self._extent)

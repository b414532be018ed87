"""Manage the segment being written, and the spare segment that is prepared ahead.

A thread fills the spare with zeros ahead of need, retries at intervals when the disk is full, and never touches the
segment in use. The log calls everything else in this module.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from answerable.adapters.tlog_files import directory as files
from answerable.adapters.tlog_files.places import Place
from answerable.adapters.tlog_files.settings import FIRST_SEGMENT_BYTES, SEGMENT_BYTES_MIN
from answerable.core.ledger.codec import SEGMENT_HEADER_BYTES, SegmentHeader, origin_hash
from answerable.errors import UnavailableCode
from answerable.errors.codes.ledger import LEDGER_POISONED, LEDGER_UNWRITABLE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from answerable.adapters.tlog_files.recovery import Stored
    from answerable.adapters.tlog_files.settings import TlogFilesSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Position of one batch. renewed: whether it is the first of a new segment."""

    offset: int
    renewed: bool
    first_index: int
    chain: bytes


class Segments:
    """The files that entries are written to.

    `planned` and `room` are for the event loop, `written` for the thread that syncs; at most one batch is between the
    two.
    """

    def __init__(
        self,
        directory: Path,
        origin: str,
        settings: TlogFilesSettings,
        stored: Stored,
        monotonic: Callable[[], float],
    ) -> None:
        self._wal = directory / files.WAL
        self._origin_hash = origin_hash(origin)
        self._settings, self._reserve = settings, settings.reserve
        self._monotonic = monotonic
        self.places = stored.places
        self._fd = -1
        self._capacity = 0
        self._spare_capacity = 0
        # True from the assignment of the spare to a batch until the spare is renamed: the thread must not count it
        # then.
        self._spare_is_taken = False
        self._end = 0
        self._wanted = 0
        self._no_room: OSError | None = None
        self._changed: Callable[[], None] = lambda: None
        self._wake = threading.Event()
        self._closing = False
        self._keeper: threading.Thread | None = None

    @property
    def disk_is_full(self) -> bool:
        """Whether the last attempt to create a spare segment failed."""
        return self._no_room is not None

    def room(self) -> tuple[int, int]:
        """Return how many bytes one more batch may have: for any entries, and for owed ones."""
        left = self._capacity - self._end
        if self._spare_capacity:
            most = max(left, self._spare_capacity - SEGMENT_HEADER_BYTES)
            return most, most
        return left - self._reserve, left

    def want(self, size: int) -> None:
        """Have a spare made in which a batch of `size` bytes fits, if the present one is too small."""
        self._wanted = size + SEGMENT_HEADER_BYTES
        if 0 < self._spare_capacity < self._wanted:
            self._spare_capacity = 0
            self._wake.set()

    def planned(self, size: int, *, first_index: int, chain: bytes) -> Stretch:
        """Reserve `size` bytes for a batch that starts with this entry. `room` must have confirmed that they fit."""
        renewed = size > self._capacity - self._end
        if renewed:
            self._spare_is_taken = True
            self._capacity, self._spare_capacity = self._spare_capacity, 0
            self._end = SEGMENT_HEADER_BYTES
        stretch = Stretch(offset=self._end, renewed=renewed, first_index=first_index, chain=chain)
        self._end += size
        return stretch

    def written(self, stretch: Stretch, content: bytes) -> float:
        """Write a batch and wait until it is on stable storage; return how many seconds that took.

        Raises OSError; after that, this segment must not be used any more.
        """
        if stretch.renewed:
            self._renew(stretch.first_index, stretch.chain)
        start = self._monotonic()
        # Usually one call writes all.
        if (done := os.pwrite(self._fd, content, stretch.offset)) < len(content):
            files.write_all(self._fd, content[done:], stretch.offset + done)
        os.fdatasync(self._fd)
        self.places[-1].end = stretch.offset + len(content)
        return self._monotonic() - start

    def sync_seconds(self, rounds: int) -> float:
        """Return the median time of a small write and its sync, in the free part of the segment."""
        zeros = bytes(min(4096, self._capacity - self._end))
        spans = []
        for _ in range(rounds):
            start = self._monotonic()
            files.write_all(self._fd, zeros, self._end)
            os.fdatasync(self._fd)
            spans.append(self._monotonic() - start)
        return sorted(spans)[rounds // 2]

    def resume(self, stored: Stored) -> None:
        """Continue where a properly closed log ended, or else in a new segment. Raises OSError."""
        last = self.places[-1] if self.places else None
        if last is not None and stored.clean and last.path.stat().st_size > last.end:
            self._fd = os.open(last.path, os.O_RDWR | os.O_CLOEXEC)
            self._capacity, self._end = last.path.stat().st_size, last.end
            return
        if last is not None:
            self._retire(last)
        self._take_spare_or_less()
        self._capacity, self._spare_capacity = self._spare_capacity, 0
        self._end = SEGMENT_HEADER_BYTES
        self._renew(stored.extent.size, stored.extent.chain)

    def code_of(self, error: BaseException) -> UnavailableCode:
        """Classify a failure of the log: `ledger.unwritable` if its disk accepts no writes any more."""
        is_lost = isinstance(error, OSError) and not files.takes_writes(self._wal.parent)
        return LEDGER_UNWRITABLE if is_lost else LEDGER_POISONED

    def keep_spare(self, changed: Callable[[], None]) -> None:
        """Start the thread. changed: called in that thread whenever a spare was created or could not be."""
        self._changed = changed
        self._keeper = threading.Thread(target=self._keep, name="ledger spare segment", daemon=True)
        self._keeper.start()

    def close(self) -> None:
        """Stop the thread and close the file."""
        self._closing = True
        self._wake.set()
        if self._keeper is not None:
            self._keeper.join()
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            # Every acknowledged write is synced, so an error in close does not matter.
            with suppress(OSError):
                os.close(fd)

    def _keep(self) -> None:
        while True:
            if not self._spare_capacity and not self._spare_is_taken:
                try:
                    self._spare_capacity = self._spare(self._next_bytes())
                    self._no_room = None
                except OSError as error:
                    self._no_room, self._wanted = error, 0
                self._changed()
            failed = self._no_room is not None
            self._wake.wait(self._settings.allocation_retry_seconds if failed else None)
            self._wake.clear()
            if self._closing:
                return

    def _next_bytes(self) -> int:
        """Return the size of the next segment: that of all so far together, within limits. So a small log takes little
        of the disk, and an opening, which reads its last segment and the spare whole, reads little."""
        most, so_far = self._settings.segment_bytes, 0
        for place in reversed(self.places):
            so_far += place.path.stat().st_size
            if so_far >= most:
                break
        return min(most, max(FIRST_SEGMENT_BYTES, 4 * self._reserve, so_far, self._wanted))

    def _spare(self, size: int) -> int:
        """Ensure that there is a zero-filled spare; return its size. A header in an existing spare was never used."""
        spare = self._wal / files.SPARE
        if spare.exists():
            if files.is_zero_filled(spare, size, skipping=SEGMENT_HEADER_BYTES):
                return size
            spare.unlink()
        files.zero_filled(spare, size)
        return size

    def _take_spare_or_less(self) -> None:
        """Get a spare at once. On a full disk, get a smaller one, since owed entries must fit."""
        size = self._next_bytes()
        while True:
            try:
                self._spare_capacity = self._spare(size)
                return
            except OSError as error:
                if error.errno not in files.NO_ROOM or size // 2 < SEGMENT_BYTES_MIN:
                    raise
            size //= 2

    def _retire(self, place: Place) -> None:
        """Release the unused or torn part of a segment; a segment without entries is deleted."""
        if place.end == SEGMENT_HEADER_BYTES:
            place.path.unlink()
            files.sync_directory(self._wal)
            self.places.pop()
        else:
            files.cut(place.path, place.end)

    def _renew(self, first_index: int, chain: bytes) -> None:
        """Turn the spare into the segment in use. Its header is durable before its name is."""
        spare, path = self._wal / files.SPARE, self._wal / files.segment_name(first_index)
        header = SegmentHeader(first_index=first_index, origin_hash=self._origin_hash, chain=chain)
        fd = os.open(spare, os.O_RDWR | os.O_CLOEXEC)
        files.write_all(fd, header.encoded(), 0)
        os.fdatasync(fd)
        spare.rename(path)
        files.sync_directory(self._wal)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        self.places.append(Place(path=path, first_index=first_index, end=SEGMENT_HEADER_BYTES))
        self._spare_is_taken = False
        self._wake.set()

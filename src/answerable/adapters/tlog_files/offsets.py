"""Remember where the entries of a log begin: a flat file for each segment, with 8 bytes an entry.

Laws: a file may be deleted at any time, and is made again; what it says of an entry counts only if a whole entry begins
there to whose index and leaf hash the check in the file belongs, else it is made again from the segment. With a keyed
check, whoever has not the key can have no other entry shown.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from struct import Struct
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias

from answerable.adapters.tlog_files.reading import stored_frames
from answerable.core.ledger.codec import SEGMENT_HEADER_BYTES, decode_frame
from answerable.core.tlog.merkle import leaf_hash
from answerable.errors import AnswerableError
from answerable.plain_file import open_plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from answerable.adapters.tlog_files.places import Place
    from answerable.core.ledger.codec import Frame

OPEN_MAX: Final = 64
"""Segments of which files are open at a time."""
PENDING_BYTES_MAX: Final = 8_192
Check: TypeAlias = "Callable[[int, bytes], int]"
_RECORD: Final = Struct(">II")
"""Offset in the segment, and a check of the entry."""


@dataclass(slots=True)
class _Opened:
    """The files of one segment. first_index: of its entries. count: entries whose offsets are known, with those in
    `pending`."""

    path: Path
    first_index: int
    segment: BinaryIO
    offsets: BinaryIO
    count: int
    check: Check
    pending: bytearray = field(default_factory=bytearray)

    def add(self, offset: int, hashed: bytes) -> None:
        self.pending += _RECORD.pack(offset, self.check(self.first_index + self.count, hashed))
        self.count += 1
        if len(self.pending) >= PENDING_BYTES_MAX:
            self.write()

    def write(self) -> None:
        """Raises OSError; fewer offsets are known then."""
        pending, self.pending = self.pending, bytearray()
        at = self.count * _RECORD.size - len(pending)
        self.count = at // _RECORD.size
        os.pwrite(self.offsets.fileno(), pending, at)
        self.count += len(pending) // _RECORD.size

    def records(self, number: int) -> bytes:
        """Return the record of an entry, and that of the next one where it is known."""
        if self.pending:
            self.write()
        return os.pread(self.offsets.fileno(), 2 * _RECORD.size, number * _RECORD.size)

    def forget(self) -> None:
        self.pending.clear()
        self.count = 0
        os.truncate(self.offsets.fileno(), 0)

    def close(self) -> None:
        with suppress(OSError):
            self.write()
        self.segment.close()
        self.offsets.close()


class OffsetFiles:
    """The files in one directory, which is made where it is missing. Not thread-safe. What cannot be written is not
    remembered; no method fails because of that."""

    def __init__(self, directory: Path, check: Check | None = None) -> None:
        """check: 32 bits of an entry's index and leaf hash; by default without a key."""
        self._directory, self._check = directory, check or plain_check
        self._opened: OrderedDict[int, _Opened] = OrderedDict()

    def close(self) -> None:
        """Write what is known, and close the files. Idempotent."""
        while self._opened:
            self._opened.popitem()[1].close()

    def note(self, place: Place, index: int, offset: int, hashed: bytes) -> None:
        """Remember where an entry begins, if those before it in its segment are known. hashed: its leaf hash."""
        with suppress(OSError):
            opened = self._of(place)
            if opened.count == index - place.first_index:
                opened.add(offset, hashed)

    def frame(self, place: Place, index: int, after: int) -> tuple[Frame, bytes] | None:
        """Return an entry and its leaf hash; None where it has to be looked for. A segment whose offsets are not known
        or not right is read once for them. after: the entry after the last one that the segment has. Raises Broken
        (`ledger.corrupt`)."""
        try:
            opened = self._of(place)
            found = self._read(opened, index - place.first_index)
            if found is None:
                self._learn(opened, after - place.first_index)
                found = self._read(opened, index - place.first_index)
        except OSError:
            return None
        return found

    def _of(self, place: Place) -> _Opened:
        opened = self._opened.get(place.first_index)
        if opened is None:
            while len(self._opened) >= OPEN_MAX:
                self._opened.popitem(last=False)[1].close()
            opened = self._opened[place.first_index] = self._open(place)
        else:
            self._opened.move_to_end(place.first_index)
        return opened

    def _open(self, place: Place) -> _Opened:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / f"{place.path.stem}.offsets"
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        offsets = os.fdopen(os.open(path, flags, 0o600), "r+b", buffering=0)
        try:
            count = _count_in(offsets)
            segment = open_plain(place.path)
            return _Opened(place.path, place.first_index, segment, offsets, count, self._check)
        except BaseException:
            offsets.close()
            raise

    @staticmethod
    def _read(opened: _Opened, number: int) -> tuple[Frame, bytes] | None:
        if number >= opened.count:
            return None
        records = opened.records(number)
        if len(records) < _RECORD.size:
            return None
        offset, check = _RECORD.unpack_from(records)
        after = _RECORD.unpack_from(records, _RECORD.size)[0] if len(records) == 2 * _RECORD.size else 0
        try:
            if after > offset:
                frame = decode_frame(os.pread(opened.segment.fileno(), after - offset, offset), 0)
            else:
                frame = next(stored_frames(opened.path, offset, 1))[1]
        except AnswerableError:
            return None
        if frame is None:
            return None
        hashed = leaf_hash(frame.leaf)
        return (frame, hashed) if check == opened.check(opened.first_index + number, hashed) else None

    @staticmethod
    def _learn(opened: _Opened, count: int) -> None:
        """Read so many entries of a segment. Raises Broken, and OSError."""
        opened.forget()
        offset = SEGMENT_HEADER_BYTES
        for end, frame in stored_frames(opened.path, offset, count):
            opened.add(offset, leaf_hash(frame.leaf))
            offset = end


def plain_check(index: int, hashed: bytes) -> int:
    """Return the check that finds damage."""
    return int.from_bytes(hashed[:4]) ^ (index & 0xFFFFFFFF)


def _count_in(offsets: BinaryIO) -> int:
    return os.fstat(offsets.fileno()).st_size // _RECORD.size

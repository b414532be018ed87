"""Follow a target's log in a file, through rotation: by renaming, by truncation, and by a new name for each file.

Laws: a line is given when it is whole; a file is known by its inode and its first bytes, so that a rotated file is read
to its end, and a file that was put back from a copy is not read again; only plain files are read.
"""

from __future__ import annotations

import glob
import os
import re
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING, Final, Protocol

from answerable.adapters.log_readers.bounded_lines import LINE_BYTES_MAX, BoundedLine, bounded_lines
from answerable.core.attribution.followed import BEGIN, KNOWN_BYTES, LogMark
from answerable.plain_file import NotPlain, open_plain
from answerable.ports.followed_log import LogChunk, LogRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from answerable.core.attribution.log_line import LogLine, UnreadLine
    from answerable.ports.followed_log import Trouble

CHUNK_BYTES: Final = 1_048_576
WARM_BYTES: Final = 1_048_576
"""How much before a mark is read again after a start, for what a reader knows of earlier lines."""
QUIET_ROUNDS: Final = 2
"""Rounds without anything new after which a file that has a successor is at its end."""
FILES_MAX: Final = 10_000
_PACKED: Final = (".gz", ".bz2", ".xz", ".zst")
_ROTATED: Final = re.compile(r"(?:[-._]?[0-9][0-9TZ:._-]*|[-._](?:old|bak|prev|previous))?")
"""What is added to the name of a file that is rotated. `shop.log.slow` is another log."""


class PartReader(Protocol):
    """Reads a log in parts."""

    @property
    def is_warm(self) -> bool:
        """Whether what it says of a line depends on earlier ones."""
        ...

    @property
    def misread(self) -> int:
        """How many times of lines it did not understand so far."""
        ...

    def begin(self, first: str) -> None:
        """Note the first line of the file whose lines come next."""

    def read(self, lines: Iterable[BoundedLine], now: int) -> Iterator[LogLine | UnreadLine]:
        """Yield one value for each record."""

    def whole(self, lines: Sequence[BoundedLine]) -> int:
        """Return how many of these lines are whole records."""


class FollowedLogFile:
    """Implements ports.followed_log.LogSource. path: its name may have `*`; then the newest such file is the log."""

    def __init__(
        self, path: Path, reader: PartReader, *, mark: LogMark = BEGIN, bytes_max: int = CHUNK_BYTES
    ) -> None:
        self._path, self._reader, self._mark, self._bytes_max = path, reader, mark, bytes_max
        self._file: BinaryIO | None = None
        self._quiet = self._held = 0

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def read_on(self, *, now: int) -> LogChunk:
        """Return the next records."""
        try:
            return self._next(now)
        except FileNotFoundError:
            return self._troubled("missing")
        except (NotPlain, IsADirectoryError):
            return self._troubled("no file")
        except OSError:
            return self._troubled("unreadable")

    def _troubled(self, why: Trouble) -> LogChunk:
        self.close()
        return LogChunk(trouble=why)

    def _next(self, now: int) -> LogChunk:
        is_gap = False
        if self._file is None:
            self._file, is_gap = self._opened(now)
        elif not _is_known(self._file, self._mark):
            # Truncated: what was written between the last look and that is lost.
            self._begin(self._file)
            is_gap = True
        chunk = self._taken(self._file, now, is_gap=is_gap, is_last=False)
        if chunk.records or not chunk.is_end:
            self._quiet = 0
            return chunk
        if self._successor(_identity(self._file)) is None:
            return chunk
        self._quiet += 1
        if self._quiet < QUIET_ROUNDS:
            return chunk
        # What stands at its end without an end of line stays half.
        chunk = self._taken(self._file, now, is_gap=is_gap, is_last=True)
        self.close()
        self._quiet = 0
        return chunk._replace(is_end=False)

    # --- which file ------------------------------------------------------------------------------------------

    def _opened(self, now: int) -> tuple[BinaryIO, bool]:
        """Open the file to read on in. Return also whether lines may be missing."""
        known, self._held = self._mark, 0
        if known == BEGIN:
            file = open_plain(self._current())
            self._begin(file)
            return file, False
        before = self._path_of(known)
        if before is not None:
            file = open_plain(before)
            if _is_known(file, known):
                after = self._successor(_identity(file))
                if after is None or os.fstat(file.fileno()).st_size > known.offset:
                    self._warm(file, known, now)
                    return file, False
                # It was read to its end before.
                file.close()
                file = open_plain(after)
                return file, self._begin_after(file, known, is_lost=False)
            file.close()
        file = open_plain(self._current())
        return file, self._begin_after(file, known, is_lost=True)

    def _begin_after(self, file: BinaryIO, known: LogMark, *, is_lost: bool) -> bool:
        """Begin with another file. is_lost: whether the end of the one before could not be read. Return whether lines
        may be missing."""
        self._begin(file)
        size = os.fstat(file.fileno()).st_size
        head = os.pread(file.fileno(), known.head_bytes, 0)
        if known.head_bytes < KNOWN_BYTES or sha256(head).hexdigest() != known.head:
            return is_lost
        # A copy of the file before: of what it has up to the mark nothing is read again.
        end = min(size, known.offset)
        lines = _lines_before(file, end)
        moved = LogMark(
            device=self._mark.device, inode=self._mark.inode, offset=end, lines=lines, head=known.head,
            head_bytes=known.head_bytes, is_cut=not _ends_line(file, end),
        )  # fmt: skip
        is_same = end == known.offset and _has_tail(file, known)
        self._mark = moved if not is_same else _moved(known, self._mark)
        return not is_same

    def _begin(self, file: BinaryIO) -> None:
        found = os.fstat(file.fileno())
        self._mark = LogMark(device=found.st_dev, inode=found.st_ino)
        self._reader.begin(_first_line(file))

    def _current(self) -> Path:
        """Return the file that is written to. Raises FileNotFoundError."""
        if "*" not in self._path.name:
            return self._path
        found = self._siblings()
        if not found:
            raise FileNotFoundError
        return found[-1][1]

    def _successor(self, identity: tuple[int, int]) -> Path | None:
        """Return the file that was begun after this one; None for the one that is written to."""
        current = self._current()
        if _identity_of(current) == identity:
            return None
        found = self._siblings()
        places = [number for number, (one, _) in enumerate(found) if one == identity]
        after = found[places[0] + 1 :] if places else []
        return after[0][1] if after else current

    def _path_of(self, mark: LogMark) -> Path | None:
        return next(
            (path for one, path in self._siblings(everything=True) if one == (mark.device, mark.inode)), None
        )

    def _siblings(self, *, everything: bool = False) -> list[tuple[tuple[int, int], Path]]:
        """Return the plain files of this log, rotated ones too, oldest first. everything: those of other names, too."""
        own = self._path.name
        is_pattern = "*" in own
        pattern = "*" if everything else own if is_pattern else f"{glob.escape(own)}*"
        found = []
        for number, path in enumerate(self._path.parent.glob(pattern)):
            if number >= FILES_MAX:
                break
            if not (everything or is_pattern or _ROTATED.fullmatch(path.name, len(own))):
                continue
            try:
                state = path.stat()
            except OSError:
                continue
            if path.suffix not in _PACKED and path.is_file():
                found.append((state.st_mtime_ns, path.name, (state.st_dev, state.st_ino), path))
        return [(identity, path) for _, _, identity, path in sorted(found)]

    # --- what is in it ---------------------------------------------------------------------------------------

    def _taken(self, file: BinaryIO, now: int, *, is_gap: bool, is_last: bool) -> LogChunk:
        base = self._mark = _with_head(file, self._mark)
        octets = os.pread(file.fileno(), self._bytes_max, base.offset)
        is_full = len(octets) == self._bytes_max
        if base.is_cut and octets:
            passed = octets.find(b"\n") + 1
            base = self._mark = _after(
                base, passed or len(octets), lines=1 if passed else 0, is_cut=not passed
            )
            octets = octets[passed or len(octets) :]
        end = len(octets) if is_last else octets.rfind(b"\n") + 1
        is_cut = not end and is_full
        octets = octets[: len(octets) if is_cut else end]
        lines = [*bounded_lines(BytesIO(octets), is_begin=not base.offset)]
        count = len(lines) if is_last else self._reader.whole(lines)
        if count < len(lines):
            # What may go on is held for a round, or as long as there is room.
            is_held = self._held != base.offset + len(octets)
            self._held = base.offset + len(octets)
            count = count if is_held and not (is_full and not count) else len(lines)
        ends = _ends(octets, len(lines))
        numbered = [line._replace(number=base.lines + line.number) for line in lines[:count]]
        misread = self._reader.misread
        records = records_of(self._reader.read(numbered, now), base, ends, count)
        chunk = LogChunk(
            records=records, octets=octets, base=base, is_gap=is_gap, is_cut=is_cut, is_end=not is_full,
            misread=self._reader.misread - misread,
        )  # fmt: skip
        if records:
            self._mark = chunk.mark_after(records[-1])
        return chunk

    def _warm(self, file: BinaryIO, mark: LogMark, now: int) -> None:
        """Read what stands before the mark again, for what a reader knows of earlier lines."""
        self._reader.begin(_first_line(file))
        if not self._reader.is_warm or not mark.offset:
            return
        for start, end in {
            (0, min(LINE_BYTES_MAX, mark.offset)),
            (max(0, mark.offset - WARM_BYTES), mark.offset),
        }:
            octets = os.pread(file.fileno(), end - start, start)
            for _ in self._reader.read(bounded_lines(BytesIO(octets), is_begin=not start), now):
                pass


def records_of(
    found: Iterable[LogLine | UnreadLine], base: LogMark, ends: Sequence[int], count: int
) -> list[LogRecord]:
    """Return the records with their bytes; lines before the first one are passed over with it."""
    if not count:
        return []
    read = [*found]
    firsts = [one.number - base.lines - 1 for one in read]
    if not read:
        return [LogRecord(None, 0, ends[count - 1], count)]
    lasts = [*firsts[1:], count]
    return [
        LogRecord(line, ends[first - 1] if first else 0, ends[last - 1], last)
        for line, first, last in zip(read, firsts, lasts, strict=True)
    ]


def _ends(octets: bytes, count: int) -> list[int]:
    found, at = [], 0
    for _ in range(count):
        at = octets.find(b"\n", at) + 1 or len(octets)
        found.append(at)
    return found


def _identity(file: BinaryIO) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino


def _identity_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        # Between renaming and creating.
        return None
    return found.st_dev, found.st_ino


def _is_known(file: BinaryIO, mark: LogMark) -> bool:
    """Whether the file still has what was read of it."""
    number = file.fileno()
    return (
        os.fstat(number).st_size >= mark.offset
        and sha256(os.pread(number, mark.head_bytes, 0)).hexdigest() == (mark.head or sha256().hexdigest())
        and _has_tail(file, mark)
    )


def _has_tail(file: BinaryIO, mark: LogMark) -> bool:
    tail = os.pread(file.fileno(), mark.tail_bytes, mark.offset - mark.tail_bytes)
    return sha256(tail).hexdigest() == (mark.tail or sha256().hexdigest())


def _with_head(file: BinaryIO, mark: LogMark) -> LogMark:
    """Return the mark with as many of the first bytes as there are."""
    if mark.head_bytes == KNOWN_BYTES:
        return mark
    head = os.pread(file.fileno(), KNOWN_BYTES, 0)
    return LogMark(
        device=mark.device, inode=mark.inode, offset=mark.offset, lines=mark.lines, is_cut=mark.is_cut,
        head=sha256(head).hexdigest(), head_bytes=len(head), tail=mark.tail, tail_bytes=mark.tail_bytes,
    )  # fmt: skip


def _after(mark: LogMark, octets: int, *, lines: int, is_cut: bool) -> LogMark:
    return LogMark(
        device=mark.device, inode=mark.inode, offset=mark.offset + octets, lines=mark.lines + lines,
        head=mark.head, head_bytes=mark.head_bytes, is_cut=is_cut,
    )  # fmt: skip


def _moved(known: LogMark, place: LogMark) -> LogMark:
    return LogMark(
        device=place.device, inode=place.inode, offset=known.offset, lines=known.lines, head=known.head,
        head_bytes=known.head_bytes, tail=known.tail, tail_bytes=known.tail_bytes, is_cut=known.is_cut,
    )  # fmt: skip


def _first_line(file: BinaryIO) -> str:
    return os.pread(file.fileno(), KNOWN_BYTES, 0).partition(b"\n")[0].decode("utf-8-sig", "replace")


def _lines_before(file: BinaryIO, end: int) -> int:
    count, at = 0, 0
    while at < end:
        octets = os.pread(file.fileno(), min(CHUNK_BYTES, end - at), at)
        if not octets:
            break
        count, at = count + octets.count(b"\n"), at + len(octets)
    return count


def _ends_line(file: BinaryIO, end: int) -> bool:
    return not end or os.pread(file.fileno(), 1, end - 1) == b"\n"

"""Port: a target's log that grows and is rotated, and that is read on from a mark."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from answerable.core.attribution.followed import BEGIN, KNOWN_BYTES, LogMark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.attribution.log_line import LogLine, UnreadLine

Trouble = Literal[
    "", "missing", "no bucket", "no file", "no keys", "no journal", "no journalctl", "ended", "unreadable"
]


class LogRecord(NamedTuple):
    """One record. line: None for lines that are passed over. start, end: its bytes in the chunk. lines: how many lines
    of the chunk there are up to its end."""

    line: LogLine | UnreadLine | None
    start: int
    end: int
    lines: int


class LogChunk(NamedTuple):
    """The next whole records. base: the mark before them. is_gap: whether lines before them may be missing. trouble:
    why there are none, if there is a reason. is_end: whether there was nothing more to read. after: the mark behind
    the last record, where a chunk counts as a whole. cursors: of a journal, the one of each line. misread: how many
    times of its lines were not understood."""

    records: Sequence[LogRecord] = ()
    octets: bytes = b""
    base: LogMark = BEGIN
    is_gap: bool = False
    trouble: Trouble = ""
    is_end: bool = True
    is_cut: bool = False
    after: LogMark | None = None
    cursors: Sequence[str] = ()
    misread: int = 0

    def digest(self, record: LogRecord) -> str:
        """Return SHA-256 of the bytes of a record, hexadecimal."""
        return sha256(self.octets[record.start : record.end]).hexdigest()

    def mark_after(self, record: LogRecord) -> LogMark:
        """Return the mark behind a record."""
        base = self.base
        if self.after is not None:
            return self.after if record is self.records[-1] else base
        if self.cursors:
            return LogMark(cursor=self.cursors[record.lines - 1], lines=base.lines + record.lines)
        tail = self.octets[max(0, record.end - KNOWN_BYTES) : record.end]
        return LogMark(
            device=base.device,
            inode=base.inode,
            offset=base.offset + record.end,
            lines=base.lines + record.lines,
            head=base.head,
            head_bytes=base.head_bytes,
            tail=sha256(tail).hexdigest(),
            tail_bytes=len(tail),
            is_cut=self.is_cut and record is self.records[-1],
        )


class LogSource(Protocol):
    """Promises: each record is given once and whole, in the order of the log, through rotation by renaming and by
    truncation; what may have been missed is told as a gap. Reading never waits."""

    def read_on(self, *, now: int) -> LogChunk:
        """Return the next records, of a bounded size. now: Unix milliseconds."""
        ...

    def close(self) -> None:
        """Close the file. Idempotent."""
        ...

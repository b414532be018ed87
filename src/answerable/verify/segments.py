"""Check one segment of a ledger by itself: frames, checksums, chain, leaves, payloads and tiles."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from hashlib import sha256
from mmap import mmap
from typing import TYPE_CHECKING, Final, cast

from answerable.core.ledger.codec import (
    SEGMENT_BYTES_MAX,
    SEGMENT_HEADER_BYTES,
    SegmentHeader,
    damaged_frame,
    decode_frame,
    origin_hash,
    tail_after,
)
from answerable.core.tlog.merkle import leaf_hash
from answerable.errors import Malformed, Unverified
from answerable.verify.entry_range import EntryRange, Reading
from answerable.verify.report import Finding
from answerable.verify.tile_checks import block_check

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.core.ledger.codec import Frame
    from answerable.verify.entry_range import Orders

_MEMORY_BYTES_MIN: Final = 1_048_576
"""A smaller segment is read into new memory."""
_CHAIN_OFFSET: Final = 32
"""Offset of the chain value in a frame's header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentTask:
    """The check of one segment. name: file in `wal/`. sizes: log sizes whose chain value is needed."""

    name: str
    is_last: bool
    sizes: tuple[int, ...]


class SegmentScanner:
    """Checks segments one after the other, each by itself. Not shared between threads; each process has its own."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        # Reuse one buffer for all segments of a size: new memory for each would take a tenth of the total time.
        self._memory: mmap | None = None

    def __reduce__(self) -> tuple[type[SegmentScanner], tuple[Orders]]:
        return SegmentScanner, (self._orders,)

    def __call__(self, task: SegmentTask) -> EntryRange:
        """Check a whole segment. Raises OSError."""
        path = self._orders.directory / "wal" / task.name
        size = path.stat().st_size
        content = self._content(path, size) if size <= SEGMENT_BYTES_MAX else b""
        entry_range = EntryRange(file=f"wal/{task.name}", first=0, read_bytes=size)
        try:
            header = SegmentHeader.parse(content)
        except (Malformed, Unverified) as error:
            entry_range.readable = False
            _wrong(
                entry_range, "segment.header", error.message, int(task.name[:16], 16), 0, SEGMENT_HEADER_BYTES
            )
            return entry_range
        entry_range.first, entry_range.chain_before = header.first_index, header.chain
        if header.origin_hash != origin_hash(self._orders.origin):
            message = "the segment belongs to another log"
            _wrong(entry_range, "segment.origin", message, header.first_index, 24, 56)
        if task.name != f"{header.first_index:016x}.wal":
            message = f"the segment starts at entry {header.first_index}"
            _wrong(entry_range, "segment.name", message, header.first_index, 16, 24)
        return _Scan(self._orders, task, entry_range, content).run()

    def _content(self, path: Path, size: int) -> bytes:
        """Return the file's bytes, valid until the next call. The result may be a mapping with the methods of bytes
        used here."""
        if size < _MEMORY_BYTES_MIN:
            return path.read_bytes()
        if self._memory is None or len(self._memory) != size:
            self._memory = mmap(-1, size)
        with path.open("rb", buffering=0) as opened, memoryview(self._memory) as view:
            at = 0
            while at < size:
                count = opened.readinto(view[at:]) or 0
                if not count:
                    return path.read_bytes()
                at += count
        return cast("bytes", self._memory)


class _Scan:
    def __init__(self, orders: Orders, task: SegmentTask, entry_range: EntryRange, content: bytes) -> None:
        self._orders, self._task = orders, task
        self._stretch, self._content = entry_range, content
        self._reading = Reading(orders, entry_range.first)
        self._blocks = block_check(orders, self._reading, entry_range)
        self._offsets = array("Q")
        self._chain = entry_range.chain_before
        self._looked_for_torn = False

    def run(self) -> EntryRange:
        """Read and check every frame."""
        content, offset, offsets = self._content, SEGMENT_HEADER_BYTES, self._offsets
        while True:
            try:
                frame = decode_frame(content, offset)
            except (Malformed, Unverified) as error:
                frame = damaged_frame(content, offset)
                if frame is None or self._is_torn(offset):
                    break
                self._wrong("entry.damaged", error.message, offset, frame.end)
                hashed = leaf_hash(frame.leaf)
                self._chain = frame.chain
                self._reading.pass_over(hashed)
                if self._blocks is not None:
                    self._blocks.take(frame.leaf)
            else:
                if frame is None:
                    break
                self._entry(offset, frame)
            offsets.append(offset)
            offset = frame.end
        offsets.append(offset)
        if self._blocks is not None:
            self._blocks.finish()
        self._tail(offset)
        entry_range = self._reading.result(self._stretch)
        entry_range.offsets, entry_range.chain = offsets, self._chain
        for size in self._task.sizes:
            at = size - entry_range.first - 1
            if 0 <= at < len(offsets) - 1:
                start = offsets[at] + _CHAIN_OFFSET
                entry_range.chains[size] = content[start : start + 32]
        return entry_range

    def _entry(self, offset: int, frame: Frame) -> None:
        leaf, attachment, chain, _, end = frame
        # Same as `leaf_hash` and `chained`, without the cost of a call.
        hashed = sha256(b"\x00" + leaf).digest()
        if sha256(self._chain + hashed).digest() != chain:
            self._wrong("entry.sequence", "the entry does not follow the one before it", offset, end)
        self._chain = chain
        index = self._reading.index
        fault = self._reading.take(leaf, hashed, attachment)
        if fault is not None:
            _wrong(self._stretch, fault.rule, fault.message, index, offset, end)
        if self._blocks is not None:
            self._blocks.take(leaf)

    def _tail(self, offset: int) -> None:
        """Judge the bytes after the last whole entry."""
        tail = tail_after(self._content, offset, next_index=self._reading.index)
        if tail.state == "clean":
            return
        if tail.state == "corrupt" or not self._may_be_torn():
            self._wrong("entry.damaged", tail.fault, offset, tail.end)
            return
        self._stretch.torn_bytes = tail.end - offset
        self._stretch.findings.add(
            Finding(
                rule="entry.torn",
                severity="warning",
                message=f"the last entry was not completely written: {tail.fault}",
                index=self._reading.index,
                file=self._stretch.file,
                start=offset,
                stop=tail.end,
            )
        )

    def _may_be_torn(self) -> bool:
        """Whether a torn end is possible: only in the last segment, after all entries that were signed or recorded as
        stored."""
        return self._task.is_last and self._reading.index >= self._orders.promised

    def _is_torn(self, offset: int) -> bool:
        """Whether the damaged entry at `offset` is a torn end. Checked once, since it scans the rest of the segment."""
        if self._looked_for_torn or not self._may_be_torn():
            return False
        self._looked_for_torn = True
        return tail_after(self._content, offset, next_index=self._reading.index).state == "torn"

    def _wrong(self, rule: str, message: str, start: int, stop: int) -> None:
        _wrong(self._stretch, rule, message, self._reading.index, start, stop)


def _wrong(entry_range: EntryRange, rule: str, message: str, index: int, start: int, stop: int) -> None:
    entry_range.findings.add(
        Finding(
            rule=rule,
            severity="error",
            message=message,
            index=index,
            file=entry_range.file,
            start=start,
            stop=stop,
        )
    )

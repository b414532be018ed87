"""Locate entries in segments, and find one entry without reading all entries before it."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple

from answerable.adapters.tlog_files.reading import corrupt, passed_frames
from answerable.core.ledger.codec import SEGMENT_HEADER_BYTES, SegmentHeader
from answerable.errors import Malformed, Unverified
from answerable.errors.codes.ledger import LEDGER_CORRUPT
from answerable.plain_file import read_plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MARK_ENTRIES: Final = 1024


@dataclass(slots=True, kw_only=True)
class Place:
    """A segment file. end: offset of the end of its entries, 0 if unknown.

    marks: entries at intervals, in order, each with the offsets of the entry and of those after it, as far as they were
    requested: 8 bytes each. looking: lock for adding offsets.
    """

    path: Path
    first_index: int
    end: int = 0
    marks: list[tuple[int, array[int]]] = field(default_factory=list)
    looking: Lock = field(default_factory=Lock)

    def mark(self, index: int, offset: int) -> None:
        """Remember where an entry starts, if the last mark is far enough behind."""
        if index - (self.marks[-1][0] if self.marks else self.first_index) >= MARK_ENTRIES:
            self.marks.append((index, array("Q", (offset,))))


class Extent(NamedTuple):
    """The state of a log at one moment: entries, chain value, and segment number and offset of the end.

    total: bytes of entries since the sealed position at opening.
    """

    size: int
    chain: bytes
    segment: int = 0
    offset: int = SEGMENT_HEADER_BYTES
    total: int = 0


def segment_of(places: Sequence[Place], index: int) -> int:
    """Return the number of the segment that contains this entry, or would contain it."""
    return max(0, bisect_right(places, index, key=lambda place: place.first_index) - 1)


def require_named(place: Place) -> None:
    """Check that the segment is the one that its file is named after. Opening reads no sealed segments, so whoever
    reads one asks. Raises Broken (`ledger.corrupt`); OSError passes through."""
    try:
        header = SegmentHeader.parse(read_plain(place.path, SEGMENT_HEADER_BYTES))
    except (Malformed, Unverified) as error:
        raise corrupt(place.path, 0, error.message, index=place.first_index) from None
    if header.first_index != place.first_index:
        fault = f"the segment starts at entry {header.first_index}, and its file is named after another one"
        raise corrupt(place.path, 16, fault, index=place.first_index)


def offset_of(place: Place, index: int) -> int:
    """Return the offset of an entry, which this segment must contain. Each header is read once and its offset stored.

    Thread-safe. Raises Broken (`ledger.corrupt`); OSError passes through.
    """
    if index < place.first_index:
        raise LEDGER_CORRUPT(
            f"the segment that holds entry {index} is missing: the first one there starts at {place.first_index}"
        )
    with place.looking:
        position = bisect_right(place.marks, index, key=lambda mark: mark[0])
        if position == 0:
            require_named(place)
            place.marks.insert(0, (place.first_index, array("Q", (SEGMENT_HEADER_BYTES,))))
        begin, offsets = place.marks[max(position - 1, 0)]
        missing = index - begin - len(offsets) + 1
        offsets.extend(passed_frames(place.path, offsets[-1], missing))
        return offsets[index - begin]

"""Where entries stand: segments, how far a log reached, and the way to one entry without reading all before it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from answerable.adapters.tlog_files.reading import passed_frames
from answerable.core.ledger.codec import SEGMENT_HEADER_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MARK_ENTRIES: Final = 1024


@dataclass(slots=True, kw_only=True)
class Place:
    """A segment file. end: how far its entries reach, 0 where nobody looked yet.

    marks: (entry, offset) every so often, in order, to find entries quickly.
    """

    path: Path
    first_index: int
    end: int = 0
    marks: list[tuple[int, int]] = field(default_factory=list)

    def mark(self, index: int, offset: int) -> None:
        """Remember where an entry starts, if the last mark is far enough behind."""
        if index - (self.marks[-1][0] if self.marks else self.first_index) >= MARK_ENTRIES:
            self.marks.append((index, offset))


class Extent(NamedTuple):
    """How far the log reached at one moment: entries, chain value, and segment number and offset of the end.

    total: bytes of entries since the place that was sealed when the log was opened.
    """

    size: int
    chain: bytes
    segment: int = 0
    offset: int = SEGMENT_HEADER_BYTES
    total: int = 0


def segment_of(places: Sequence[Place], index: int) -> int:
    """Number of the segment that this entry is in, or would be."""
    return max(0, bisect_right(places, index, key=lambda place: place.first_index) - 1)


def offset_of(place: Place, index: int) -> int:
    """Offset of an entry of this segment, which it must have. Raises Broken (`ledger.corrupt`); OSError passes."""
    position = bisect_right(place.marks, index, key=lambda mark: mark[0])
    at, offset = place.marks[position - 1] if position else (place.first_index, SEGMENT_HEADER_BYTES)
    for end in passed_frames(place.path, offset, index - at):
        at, offset = at + 1, end
        place.mark(at, offset)
    return offset

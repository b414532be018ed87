"""Read stored entries: a sequence from one entry on, or a single one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.adapters.tlog_files.opening import port_errors
from answerable.adapters.tlog_files.places import offset_of, require_named, segment_of
from answerable.adapters.tlog_files.reading import corrupt, stored_frames
from answerable.core.ledger.codec import SEGMENT_HEADER_BYTES
from answerable.core.ledger.entry import StoredEntry
from answerable.core.ledger.open_intents import tag_of
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.merkle import leaf_hash
from answerable.errors import Malformed
from answerable.errors.codes.ledger import LEDGER_CORRUPT, LEDGER_NO_ENTRY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from answerable.adapters.tlog_files.offsets import OffsetFiles
    from answerable.adapters.tlog_files.places import Extent, Place
    from answerable.core.ledger.codec import Frame
    from answerable.core.ledger.head import OpenIntent


class Replay:
    """Reads the segments of one log. Raises Unavailable (`ledger.unreadable`) and Broken (`ledger.corrupt`)."""

    def __init__(self, places: Sequence[Place], offsets: OffsetFiles | None = None) -> None:
        """offsets: remember where entries begin, and how far was read; None where nobody asks for single entries again,
        or several threads do."""
        self._places, self._offsets = places, offsets
        self._reached = (-1, -1, 0)

    def entries(self, start: int, extent: Extent) -> Iterator[StoredEntry]:
        """Yield the entries from `start` on, up to an extent."""
        places, index = self._places, start
        with port_errors("cannot read the log"):
            if index >= extent.size:
                return
            number = segment_of(places, index)
            *reached, offset = self._reached
            if reached != [number, index]:
                offset = offset_of(places[number], index)
            while index < extent.size:
                last = extent.size if number == extent.segment else places[number + 1].first_index
                for end, frame in stored_frames(places[number].path, offset, last - index):
                    stored = _stored(index, frame, leaf_hash(frame.leaf))
                    if self._offsets is not None:
                        self._offsets.note(places[number], index, offset, stored.leaf_hash)
                        offset = end
                        self._reached = number, index + 1, end
                    yield stored
                    index += 1
                number, offset = number + 1, SEGMENT_HEADER_BYTES
                if index < extent.size:
                    require_named(places[number])

    def entry(self, index: int, extent: Extent) -> StoredEntry:
        """Return one entry. Raises Malformed (`ledger.no_entry`) for an entry beyond the extent."""
        if not 0 <= index < extent.size:
            raise LEDGER_NO_ENTRY(f"there is no entry {index}: the log holds {extent.size}")
        number = segment_of(self._places, index)
        place = self._places[number]
        if self._offsets is not None and index >= place.first_index:
            is_last = number == extent.segment
            after = extent.size if is_last else self._places[number + 1].first_index
            known = self._offsets.frame(place, index, after)
            if known is not None:
                return _stored(index, *known)
        with port_errors("cannot read the log"):
            _, frame = next(stored_frames(place.path, offset_of(place, index), 1))
            return _stored(index, frame, leaf_hash(frame.leaf))

    def at(self, intent: OpenIntent) -> StoredEntry:
        """Return the intent at the position that a head recorded. Raises Broken (`ledger.corrupt`) if there is none."""
        place = self._places[segment_of(self._places, intent.segment)]
        require_named(place)
        for _, frame in stored_frames(place.path, intent.offset, 1):
            found = _stored(intent.entry, frame, leaf_hash(frame.leaf))
            if found.tag == Tag.INTENT:
                return found
        raise corrupt(place.path, intent.offset, "the head recorded an intent here", index=intent.entry)


def _stored(index: int, frame: Frame, hashed: bytes) -> StoredEntry:
    try:
        tag = tag_of(frame.leaf)
    except Malformed as error:
        raise LEDGER_CORRUPT(f"ledger is damaged in entry {index}: {error.message}") from None
    return StoredEntry(
        index=index,
        tag=tag,
        leaf=frame.leaf,
        attachment=frame.attachment,
        leaf_hash=hashed,
    )

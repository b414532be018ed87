"""Read and verify what is on disk when a log is opened, and find a torn end, without changing anything.

Reading starts at the place that the head calls sealed, after the tiles up to there were found to have the signed root.
The whole log is read if there is no such place (version 1, or nothing sealed yet) or the tiles are wrong: then
everything below the newest signed size must hash to the signed root, or the log does not open.

Laws:
- the tree continues a root that the log's key signed, or the log does not open;
- only bytes beyond what was signed and what the head recorded can be torn, and only by missing bytes;
- the files are first synced and read from disk again, so that what counts as stored is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec

from answerable.adapters.tlog_files import directory as files
from answerable.adapters.tlog_files.growth import Growth
from answerable.adapters.tlog_files.history import NoteHistory, Signed
from answerable.adapters.tlog_files.places import Extent, Place, segment_of
from answerable.adapters.tlog_files.reading import corrupt
from answerable.adapters.tlog_files.sealing import Sealed, nothing_sealed
from answerable.core.canonical import encode_ledger, parse
from answerable.core.ledger.codec import (
    SEGMENT_BYTES_MAX,
    SEGMENT_HEADER_BYTES,
    Frame,
    SegmentHeader,
    checked_link,
    decode_frame,
    frame_passed,
    origin_hash,
    tail_after,
)
from answerable.core.ledger.head import Head
from answerable.core.ledger.open_intents import OpenIntents
from answerable.core.tlog.merkle import CompactRange, leaf_hash
from answerable.core.tlog.tile import TILE_WIDTH, edge_from_tiles, tiles_of
from answerable.errors import Broken, Malformed, Unverified
from answerable.errors.codes.documents import JSON_FLOAT
from answerable.errors.codes.ledger import (
    LEDGER_ENTRIES_MISSING,
    LEDGER_LEAF_MALFORMED_MALFORMED,
    LEDGER_ROOT_MISMATCH,
)
from answerable.plain_file import read_plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from answerable.adapters.tlog_files.tiles import TileFiles
    from answerable.core.ledger.head import OpenIntent, SealedAt
    from answerable.core.tlog.note import VerifierKey


def _no_float(text: str) -> NoReturn:
    raise JSON_FLOAT("a ledger record holds no floats")


_SORTED: Final = msgspec.json.Encoder(order="sorted")
_WITHOUT_FLOATS: Final = msgspec.json.Decoder(float_hook=_no_float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A torn end. size: non-zero bytes from `offset` on; segment: file name."""

    segment: str
    offset: int
    size: int
    fault: str


@dataclass(slots=True, kw_only=True)
class Stored:
    """The state of a log on disk. extent: the end of the last entry. sealed: what the newest checkpoint covers. tiled:
    whether its tiles are correct. damaged: whether they were, and are not any more. open: intents without an end.
    checkpoints, cosigned: the files of signed notes."""

    extent: Extent
    sealed: Sealed
    tiled: bool
    open: tuple[OpenIntent, ...]
    places: list[Place]
    checkpoints: NoteHistory
    cosigned: NoteHistory
    cut: Cut | None = None
    clean: bool = False
    damaged: bool = False


def read_stored(directory: Path, *, keys: Sequence[VerifierKey], tiles: TileFiles) -> Stored:
    """Verify the content of a log's directory. keys: the log's keys, the first of which determines the origin.

    Raises Broken (`ledger.corrupt`, `ledger.entries_missing`, `ledger.root_mismatch`), each naming the place.
    """
    found = _found(directory, keys)
    sealed_at = None if found.head is None else found.head.sealed
    if sealed_at is not None:
        size = found.newest.checkpoint.size if found.newest else 0
        if sealed_at.size > size:
            fault = (
                f"the newest checkpoint covers {size} entries, the head knows of one over {sealed_at.size}"
            )
            raise corrupt(directory / files.CHECKPOINT, 0, fault)
        edge = _edge(tiles, sealed_at.size, found.newest)
        if edge is not None:
            stored = _Walk(found, tiles, edge=edge, sealed=sealed_at).stored()
            if stored is not None:
                return stored
    stored = _Walk(found, tiles, edge=CompactRange(), sealed=None).stored()
    if stored is None:
        raise LEDGER_ROOT_MISMATCH(
            f"the first {found.signed_size} entries do not hash to the root that was signed over them"
        )
    return stored


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """The content of the small files."""

    origin: str
    head: Head | None
    checkpoints: NoteHistory
    cosigned: NoteHistory
    paths: list[Path]

    @property
    def newest(self) -> Signed | None:
        return self.checkpoints.newest

    @property
    def signed_size(self) -> int:
        return self.newest.checkpoint.size if self.newest is not None else 0

    @property
    def promised(self) -> int:
        """How many entries were recorded as stored."""
        return max(self.head.size if self.head is not None else 0, self.signed_size)


def _found(directory: Path, keys: Sequence[VerifierKey]) -> _Found:
    origin = keys[0].name
    # In this order: a writer may be at work, who writes the newest checkpoint before what refers to it.
    head = _head(directory / files.HEAD, origin)
    cosigned = NoteHistory(directory, newest=files.COSIGNED, history=files.COSIGNED_ALL, keys=keys)
    checkpoints = NoteHistory(directory, newest=files.CHECKPOINT, history=files.CHECKPOINTS, keys=keys)
    found = _Found(
        origin=origin,
        head=head,
        checkpoints=checkpoints,
        cosigned=cosigned,
        paths=files.segment_paths(directory),
    )
    if cosigned.newest is not None and cosigned.newest.checkpoint.size > found.signed_size:
        size = cosigned.newest.checkpoint.size
        fault = f"the newest checkpoint covers {found.signed_size} entries, a cosigned one {size}"
        raise corrupt(directory / files.CHECKPOINT, 0, fault)
    return found


def _edge(tiles: TileFiles, size: int, newest: Signed | None) -> CompactRange | None:
    """Return the right edge of the tree at this size, from its tiles; None if they are wrong."""
    try:
        edge = edge_from_tiles(size, tiles.read)
        Growth.stored(tiles, size)
    except Broken:
        return None
    if newest is not None and newest.checkpoint.size == size and edge.root() != newest.checkpoint.root:
        return None
    return edge


class _Walk:
    """Reads the segments of one log in order, from a position on. edge: the tree up to there."""

    def __init__(
        self, found: _Found, tiles: TileFiles, *, edge: CompactRange, sealed: SealedAt | None
    ) -> None:
        self._found, self._tiles, self._tree = found, tiles, edge
        self._sealed_at = sealed
        self._places = [Place(path=path, first_index=files.first_index(path)) for path in found.paths]
        self._sealed = nothing = nothing_sealed(found.origin)
        # The extent as separate attributes: an object for each entry would cost more than all the rest.
        self._size, self._chain, self._total = 0, nothing.extent.chain, 0
        self._number, self._end = 0, SEGMENT_HEADER_BYTES
        self._open = OpenIntents()
        self._cut: Cut | None = None
        if sealed is not None and found.head is not None:
            self._number, self._end = self._segment_called(sealed.segment), sealed.offset
            self._size, self._chain = sealed.size, sealed.chain
            self._open = OpenIntents(found.head.open)
            self._reach_signed()

    @property
    def _extent(self) -> Extent:
        return Extent(
            size=self._size, chain=self._chain, segment=self._number, offset=self._end, total=self._total
        )

    def _segment_called(self, first_index: int) -> int:
        number = segment_of(self._places, first_index)
        if not self._places or self._places[number].first_index != first_index:
            raise LEDGER_ENTRIES_MISSING(f"the segment that starts at entry {first_index} is missing")
        return number

    def stored(self) -> Stored | None:
        """Return the state after reading every segment; None if the tree does not have the signed root."""
        places, promised = self._places, self._found.promised
        for number in range(self._number, len(places)):
            if not self._segment(number, places[number]):
                return None
        if self._size < promised:
            raise LEDGER_ENTRIES_MISSING(
                f"the log holds {self._size} entries, {promised} were recorded as stored"
            )
        head = self._found.head
        closed = head is not None and head.clean and head.size == self._size
        sealed = self._sealed
        tiled = self._sealed_at is not None and self._are_tiled(sealed)
        return Stored(
            extent=self._extent,
            sealed=sealed,
            tiled=tiled,
            open=self._open.all(),
            places=places,
            checkpoints=self._found.checkpoints,
            cosigned=self._found.cosigned,
            cut=self._cut,
            clean=closed and self._cut is None and bool(places),
            damaged=head is not None and head.sealed is not None and not tiled,
        )

    def _are_tiled(self, sealed: Sealed) -> bool:
        if self._sealed_at is not None and self._sealed_at.size == sealed.extent.size:
            return True
        newest = self._found.newest
        return _edge(self._tiles, sealed.extent.size, newest) is not None

    def _segment(self, number: int, place: Place) -> bool:
        """Verify the unread part of one segment and add it; False if the tree lacks the signed root."""
        is_last = number == len(self._places) - 1
        size = place.path.stat().st_size
        if size > SEGMENT_BYTES_MAX:
            # A sparse file takes no disk space, but all of its size in memory.
            fault = f"the segment has {size} bytes, at most {SEGMENT_BYTES_MAX} were ever written"
            raise corrupt(place.path, SEGMENT_BYTES_MAX, fault)
        content = files.read_from_disk(place.path) if is_last else read_plain(place.path)
        place.end = self._start_in(number, place, content)
        if not self._frames(number, place, content):
            return False
        if tail_after(content, place.end, next_index=self._size).state == "clean":
            return True
        # What is torn is judged with all zeros of the file.
        content = content.ljust(size, b"\x00")
        if not self._frames(number, place, content):
            return False
        tail = tail_after(content, place.end, next_index=self._size)
        if tail.state == "corrupt" or not is_last or self._size < self._found.promised:
            raise corrupt(place.path, place.end, tail.fault, index=self._size)
        self._cut = Cut(
            segment=place.path.name, offset=place.end, size=tail.end - place.end, fault=tail.fault
        )
        return True

    def _frames(self, number: int, place: Place, content: bytes) -> bool:
        """Add the entries from `place.end` on, as long as they are valid; False if the tree lacks the signed root."""
        while True:
            try:
                frame = decode_frame(content, place.end)
            except (Malformed, Unverified):
                return True
            if frame is None:
                return True
            self._entry(number, place, frame)
            if not self._reach_signed():
                return False

    def _start_in(self, number: int, place: Place, content: bytes) -> int:
        """Return where to start in a segment: at its first entry, or where the head says that it is sealed."""
        header, sealed = self._checked_header(place, content), self._sealed_at
        index, offset, chain = header.first_index, SEGMENT_HEADER_BYTES, header.chain
        if sealed is None or number > segment_of(self._places, sealed.segment):
            if (index, place.first_index, chain) != (self._size, self._size, self._chain):
                fault = f"the segment starts at entry {index}, expected {self._size}"
                raise corrupt(place.path, 16, fault, index=self._size)
            return offset
        while offset < sealed.offset:
            passed = frame_passed(content, offset)
            if passed is None:
                raise corrupt(place.path, offset, "the header of a sealed entry is damaged", index=index)
            index, offset, chain = index + 1, passed.end, passed.chain
            place.mark(index, offset)
        if (header.first_index, index) != (place.first_index, sealed.size) or (offset, chain) != (
            sealed.offset,
            sealed.chain,
        ):
            fault = "the head recorded another place or another history"
            raise corrupt(place.path, sealed.offset, fault, index=sealed.size - 1)
        return offset

    def _checked_header(self, place: Place, content: bytes) -> SegmentHeader:
        index = self._size
        try:
            header = SegmentHeader.parse(content)
        except (Malformed, Unverified) as error:
            raise corrupt(place.path, 0, error.message, index=index) from None
        if header.origin_hash != origin_hash(self._found.origin):
            raise corrupt(place.path, 24, "the segment belongs to another log", index=index)
        return header

    def _entry(self, number: int, place: Place, frame: Frame) -> None:
        index, hashed, head = self._size, leaf_hash(frame.leaf), self._found.head
        try:
            self._chain = checked_link(frame, chain=self._chain, leaf_hash=hashed)
            self._open.saw(frame.leaf, index, place.first_index, place.end)
        except (Unverified, Malformed) as error:
            raise corrupt(place.path, place.end, error.message, index=index) from None
        if index < self._found.signed_size:
            self._tree.append(hashed)
        else:
            _check_leaf(place, index, frame)
            self._total += frame.end - place.end
        place.mark(index, place.end)
        place.end = frame.end
        self._size, self._number, self._end = index + 1, number, frame.end
        if head is not None and index + 1 == head.size and frame.chain != head.chain:
            raise corrupt(place.path, place.end, "the head recorded another history", index=index)

    def _reach_signed(self) -> bool:
        """Record the sealed state when the newest checkpoint's size is reached; False if the root is not the signed
        one."""
        newest = self._found.newest
        if newest is None or self._size != newest.checkpoint.size:
            return True
        root, since = self._tree.root(), self._size if self._sealed_at is None else self._sealed_at.size
        self._sealed = Sealed(
            extent=self._extent,
            root=root,
            note=newest.note,
            open=self._open.all(),
            full=tuple(name for name in tiles_of(self._size, since=since) if name.width == TILE_WIDTH),
        )
        return root == newest.checkpoint.root


def _check_leaf(place: Place, index: int, frame: Frame) -> None:
    """Check a leaf that no checkpoint covers yet: it must be one that this program could have written."""
    try:
        # Nearly all leaves are ASCII without floats; such a leaf is canonical if it encodes back to the same bytes.
        quickly = _SORTED.encode(_WITHOUT_FLOATS.decode(frame.leaf)) == frame.leaf and frame.leaf.isascii()
        if not quickly and encode_ledger(parse(frame.leaf)) != frame.leaf:
            raise LEDGER_LEAF_MALFORMED_MALFORMED("the leaf is written in another way")
    except (Malformed, msgspec.DecodeError, RecursionError):
        fault = "the leaf is not a canonical ledger leaf"
        raise corrupt(place.path, place.end, fault, index=index) from None


def _head(path: Path, origin: str) -> Head | None:
    """Return the head; None for a log that never wrote one."""
    if not path.exists():
        return None
    try:
        head = Head.parse(read_plain(path))
    except Malformed as error:
        raise corrupt(path, 0, error.message) from None
    if head.origin != origin:
        raise corrupt(path, 0, "the head belongs to another log")
    return head

"""What is on disk when a log is opened: verified, the torn end found, nothing changed yet.

Laws:
- everything below the newest signed size must hash to the signed root, or the log does not open;
- only bytes beyond what was signed and what the head recorded can be torn, and only by lacking bytes;
- the files are synced and read anew first, so that what counts as stored is stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from answerable.adapters.tlog_files import directory as files
from answerable.adapters.tlog_files.reading import corrupt
from answerable.core.canonical import encode_ledger, parse
from answerable.core.ledger.codec import (
    SEGMENT_HEADER_BYTES,
    Frame,
    Head,
    SegmentHeader,
    chain_start,
    checked_link,
    decode_frame,
    notes_in,
    origin_hash,
    tail_after,
)
from answerable.core.tlog.checkpoint import Checkpoint, verified_checkpoint
from answerable.core.tlog.merkle import EMPTY_ROOT, CompactRange, leaf_hash
from answerable.errors import Broken, Malformed, Unverified

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.core.tlog.note import VerifierKey

MARK_ENTRIES: Final = 1024
_CHECKPOINT_TAIL_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A torn end. size: bytes that are not zero from `offset` on; segment: file name."""

    segment: str
    offset: int
    size: int
    fault: str


@dataclass(slots=True, kw_only=True)
class Place:
    """A segment file and how far its entries reach."""

    path: Path
    first_index: int
    end: int


@dataclass(slots=True, kw_only=True)
class Stored:
    """The state that was found. sealed: tree at the newest checkpoint; sealed_chain, sealed_at: chain value there, and
    segment and offset after its last entry. marks: (entry, segment, offset) every so often, to find entries quickly.
    checkpoints_end: length of complete notes in `checkpoints.log`.
    """

    size: int = 0
    chain: bytes
    sealed: CompactRange = field(default_factory=CompactRange)
    sealed_chain: bytes
    sealed_at: tuple[int, int] = (0, SEGMENT_HEADER_BYTES)
    checkpoint: bytes | None = None
    checkpoints_end: int = 0
    segments: list[Place] = field(default_factory=list)
    marks: list[tuple[int, int, int]] = field(default_factory=list)
    cut: Cut | None = None
    clean: bool = False


def read_stored(directory: Path, *, origin: str, key: VerifierKey) -> Stored:
    """Verify what a log's directory holds.

    Raises Broken (`ledger.corrupt`, `ledger.entries_missing`, `ledger.root_mismatch`), each naming the place.
    """
    walk = _Walk(directory, origin, key)
    paths = files.segment_paths(directory)
    for path in paths:
        walk.segment(path, is_last=path is paths[-1])
    return walk.finished()


class _Walk:
    """Goes through the segments of one log, oldest first, and fills `stored`."""

    def __init__(self, directory: Path, origin: str, key: VerifierKey) -> None:
        chain = chain_start(origin)
        self._origin = origin
        self._stored = Stored(chain=chain, sealed_chain=chain)
        self._head = _head(directory / files.HEAD, origin)
        self._checkpoint = _newest_checkpoint(directory, self._stored, origin, key)
        self._promised = max(self._head.size if self._head else 0, self._checkpoint.size)

    def segment(self, path: Path, *, is_last: bool) -> None:
        """Verify one segment and add it to what is stored."""
        stored = self._stored
        content = files.read_from_disk(path) if is_last else path.read_bytes()
        self._check_header(path, content)
        place = Place(path=path, first_index=stored.size, end=SEGMENT_HEADER_BYTES)
        stored.segments.append(place)
        while True:
            try:
                frame = decode_frame(content, place.end)
            except (Malformed, Unverified):
                break
            if frame is None:
                break
            self._entry(place, frame)
        tail = tail_after(content, place.end, next_index=stored.size)
        if tail.state == "clean":
            return
        if tail.state == "corrupt" or not is_last or stored.size < self._promised:
            raise corrupt(path, place.end, tail.fault, index=stored.size)
        stored.cut = Cut(segment=path.name, offset=place.end, size=tail.end - place.end, fault=tail.fault)

    def finished(self) -> Stored:
        """What was found, once every segment was walked."""
        stored, head = self._stored, self._head
        if stored.size < self._promised:
            raise Broken(
                f"the log holds {stored.size} entries, {self._promised} were recorded as stored",
                code="ledger.entries_missing",
            )
        closed = head is not None and head.clean and head.size == stored.size
        stored.clean = closed and stored.cut is None and bool(stored.segments)
        return stored

    def _entry(self, place: Place, frame: Frame) -> None:
        stored, head = self._stored, self._head
        hashed, number = leaf_hash(frame.leaf), len(stored.segments) - 1
        try:
            checked_link(frame, chain=stored.chain, leaf_hash=hashed)
        except Unverified as error:
            raise corrupt(place.path, place.end, error.message, index=stored.size) from None
        if stored.size % MARK_ENTRIES == 0:
            stored.marks.append((stored.size, number, place.end))
        if stored.size < self._checkpoint.size:
            stored.sealed.append(hashed)
        else:
            _check_leaf(place, stored.size, frame)
        place.end = frame.end
        stored.size += 1
        stored.chain = frame.chain
        if stored.size == self._checkpoint.size:
            if stored.sealed.root() != self._checkpoint.root:
                raise Broken(
                    f"the first {stored.size} entries do not hash to the root that was signed over them",
                    code="ledger.root_mismatch",
                )
            stored.sealed_chain, stored.sealed_at = stored.chain, (number, place.end)
        if head is not None and stored.size == head.size and stored.chain != head.chain:
            raise corrupt(place.path, place.end, "the head recorded another history", index=stored.size - 1)

    def _check_header(self, path: Path, content: bytes) -> None:
        index = self._stored.size
        try:
            header = SegmentHeader.parse(content)
        except (Malformed, Unverified) as error:
            raise corrupt(path, 0, error.message, index=index) from None
        if header.origin_hash != origin_hash(self._origin):
            raise corrupt(path, 24, "the segment belongs to another log", index=index)
        named = int(path.name.removesuffix(".wal"), 16)
        if (header.first_index, named, header.chain) != (index, index, self._stored.chain):
            fault = f"the segment starts at entry {header.first_index}, expected {index}"
            raise corrupt(path, 16, fault, index=index)


def _check_leaf(place: Place, index: int, frame: Frame) -> None:
    """A leaf that no checkpoint covers yet must at least be one we could have written."""
    try:
        leaf = parse(frame.leaf)
        sound = (
            isinstance(leaf, dict) and isinstance(leaf.get("tag"), int) and encode_ledger(leaf) == frame.leaf
        )
    except Malformed:
        sound = False
    if not sound:
        raise corrupt(place.path, place.end, "the leaf is not a canonical ledger leaf", index=index)


def _head(path: Path, origin: str) -> Head | None:
    """The head, or None for a log that never wrote one."""
    if not path.exists():
        return None
    try:
        head = Head.parse(path.read_bytes())
    except Malformed as error:
        raise corrupt(path, 0, error.message) from None
    if head.origin != origin:
        raise corrupt(path, 0, "the head belongs to another log")
    return head


def _newest_checkpoint(directory: Path, stored: Stored, origin: str, key: VerifierKey) -> Checkpoint:
    """The newest checkpoint by either file; its text and the complete length of `checkpoints.log` go to `stored`."""
    found: list[tuple[int, bytes, Checkpoint]] = []
    path, history = directory / files.CHECKPOINT, directory / files.CHECKPOINTS
    candidates = [(path, path.read_bytes())] if path.exists() else []
    if history.exists():
        size = history.stat().st_size
        with history.open("rb") as opened:
            start = max(0, size - _CHECKPOINT_TAIL_BYTES)
            opened.seek(start)
            tail = opened.read()
        # In the middle of a long file, a note starts after the blank line that follows a signature line.
        skipped = 0 if start == 0 else tail.find(b"\n\n" + origin.encode() + b"\n") + 2
        notes, used = notes_in(tail[skipped:])
        stored.checkpoints_end = start + skipped + used
        candidates += [(history, note) for note in notes[-1:]]
    for source, note in candidates:
        try:
            checkpoint = verified_checkpoint(note, origin=origin, log_keys=(key,))
        except (Malformed, Unverified) as error:
            raise corrupt(source, 0, error.message) from None
        found.append((checkpoint.size, note, checkpoint))
    if not found:
        return Checkpoint(origin=origin, size=0, root=EMPTY_ROOT)
    _, stored.checkpoint, checkpoint = max(found, key=lambda one: one[0])
    return checkpoint

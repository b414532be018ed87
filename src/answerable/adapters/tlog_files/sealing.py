"""Checkpoints: stored bytes read back, hashed into the tree, the root signed and published.

Laws:
- nothing is signed that was not read back from its file and found to carry the chain value that was acknowledged;
- what is published only grows: a slower seal that ends after a faster one publishes nothing.

The bytes come back through the page cache, so a disk that lies is found at the next opening, not here.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from answerable.adapters.tlog_files import directory as files
from answerable.adapters.tlog_files.reading import corrupt, stored_frames
from answerable.core.ledger.codec import SEGMENT_HEADER_BYTES, checked_link
from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.merkle import leaf_hash
from answerable.core.tlog.note import signed_note
from answerable.errors import Unverified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from answerable.adapters.tlog_files.recovery import Stored
    from answerable.core.ledger.codec import Head
    from answerable.core.tlog.merkle import CompactRange
    from answerable.core.tlog.note import VerifierKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How far the log reached at one moment: entries, chain value, and segment number and offset of the end."""

    size: int
    chain: bytes
    segment: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """An extent with the tree over it, and the signed checkpoint, None before the first."""

    extent: Extent
    tree: CompactRange
    note: bytes | None


class Sealer:
    """Makes the checkpoints of one log. `steps` may run in slices; `publish` may run in a thread."""

    def __init__(
        self, directory: Path, *, key: VerifierKey, sign: Callable[[bytes], bytes], stored: Stored
    ) -> None:
        self._directory = directory
        self._key = key
        self._sign = sign
        self._places = stored.segments
        self._history_end = stored.checkpoints_end
        self._publishing = threading.Lock()
        segment, offset = stored.sealed_at
        extent = Extent(size=stored.sealed.size, chain=stored.sealed_chain, segment=segment, offset=offset)
        self.sealed = Sealed(extent=extent, tree=stored.sealed, note=stored.checkpoint)

    def steps(self, to: Extent, slice_entries: int) -> Iterator[Sealed | None]:
        """Read and hash up to `to`, yielding None after each slice and at last the new state, signed.

        Raises Broken (`ledger.corrupt`); OSError passes through.
        """
        start, tree = self.sealed.extent, self.sealed.tree.copy()
        chain, offset = start.chain, start.offset
        for number in range(start.segment, to.segment + 1):
            place = self._places[number]
            stop = to.offset if number == to.segment else place.end
            before = offset
            for after, frame in stored_frames(place.path, offset, stop):
                hashed = leaf_hash(frame.leaf)
                try:
                    chain = checked_link(frame, chain=chain, leaf_hash=hashed)
                except Unverified as error:
                    raise corrupt(place.path, before, error.message, index=tree.size) from None
                before = after
                tree.append(hashed)
                if tree.size % slice_entries == 0:
                    yield None
            offset = SEGMENT_HEADER_BYTES
        if (tree.size, chain) != (to.size, to.chain):
            raise corrupt(
                self._places[to.segment].path, to.offset, "stored entries are not those acknowledged"
            )
        text = Checkpoint(origin=self._key.name, size=tree.size, root=tree.root()).text()
        note = signed_note(text, key=self._key, sign=self._sign)
        note.verify((self._key,))
        yield Sealed(extent=to, tree=tree, note=note.encoded())

    def publish(self, sealed: Sealed, head: Head) -> None:
        """Append the checkpoint to the history, then replace `checkpoint` and `head`. Raises OSError."""
        with self._publishing:
            if sealed.note is None or (
                self.sealed.note is not None and sealed.extent.size <= self.sealed.extent.size
            ):
                return
            self._append_to_history(sealed.note + b"\n")
            self._replace(sealed.note, head)
            self.sealed = sealed

    def write_head(self, head: Head) -> None:
        """Replace the head alone, and the checkpoint if an earlier crash left it behind. Raises OSError."""
        with self._publishing:
            self._replace(self.sealed.note, head)

    def _replace(self, note: bytes | None, head: Head) -> None:
        contents = {files.CHECKPOINT: note} if note is not None else {}
        files.replace_files(self._directory, {**contents, files.HEAD: head.encoded()})

    def _append_to_history(self, content: bytes) -> None:
        """What follows the last complete note is the rest of a write that failed or was torn: it is overwritten."""
        path = self._directory / files.CHECKPOINTS
        is_new = not path.exists()
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(fd).st_size > self._history_end:
                os.ftruncate(fd, self._history_end)
            files.write_all(fd, content, self._history_end)
            os.fsync(fd)
        finally:
            os.close(fd)
        if is_new:
            files.sync_directory(self._directory)
        self._history_end += len(content)

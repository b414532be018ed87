"""Store signed notes in two files: one with the newest note, and one with all notes, which only grows."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.adapters.tlog_files import directory as files
from answerable.adapters.tlog_files.reading import corrupt
from answerable.core.ledger.codec import notes_in
from answerable.core.tlog.checkpoint import Checkpoint, verified_checkpoint
from answerable.errors import Malformed, Unverified
from answerable.plain_file import open_plain, read_plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from answerable.core.tlog.note import VerifierKey

_TAIL_BYTES: Final = 1_048_576
"""Bytes read from the end of a history to find its last note; notes with their cosignatures are far shorter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A verified checkpoint, and the note that contains it."""

    checkpoint: Checkpoint
    note: bytes


class NoteHistory:
    """One pair of such files. newest: the newest note found."""

    def __init__(self, directory: Path, *, newest: str, history: str, keys: Sequence[VerifierKey]) -> None:
        """Read both files, given their names, without changes. keys: the log's keys; the first one determines the
        origin.

        Raises Broken (`ledger.corrupt`) for a note that is not the log's; OSError passes through.
        """
        self._directory, self._path = directory, directory / history
        self._keys = keys
        self._end = 0
        self._name = newest
        self.newest: Signed | None = None
        path = directory / newest
        self._in_own_file = read_plain(path) if path.exists() else b""
        candidates = [(path, self._in_own_file)] if path.exists() else []
        candidates += [(self._path, note) for note in self._last_note()]
        for source, note in candidates:
            found = self._verified(source, note)
            if self.newest is None or found.checkpoint.size > self.newest.checkpoint.size:
                self.newest = found

    def settle(self) -> None:
        """Write the newest note to its own file if a crash prevented that, so that this file is never two notes behind.
        Called at opening.

        Raises OSError.
        """
        if self.newest is not None and self.newest.note != self._in_own_file:
            files.replace_files(self._directory, {self._name: self.newest.note})

    def append(self, note: bytes) -> None:
        """Append a note to the history, durably. Raises OSError.

        Bytes after the last complete note are the rest of a failed or torn write, and are overwritten.
        """
        content = note + b"\n"
        is_new = not self._path.exists()
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(fd).st_size > self._end:
                os.ftruncate(fd, self._end)
            files.write_all(fd, content, self._end)
            os.fsync(fd)
        finally:
            os.close(fd)
        if is_new:
            files.sync_directory(self._directory)
        self._end += len(content)

    def _last_note(self) -> list[bytes]:
        if not self._path.exists():
            return []
        size = self._path.stat().st_size
        start = max(0, size - _TAIL_BYTES)
        with open_plain(self._path) as opened:
            opened.seek(start)
            tail = opened.read()
        # In the middle of a long file, a note starts after the blank line that follows a signature line.
        mark = b"\n\n" + self._keys[0].name.encode() + b"\n"
        skipped = 0 if start == 0 else tail.find(mark) + 2
        if start and mark not in tail:
            raise corrupt(self._path, start, "no note of this log starts here")
        notes, used = notes_in(tail[skipped:])
        self._end = start + skipped + used
        return notes[-1:]

    def _verified(self, source: Path, note: bytes) -> Signed:
        try:
            checkpoint = verified_checkpoint(note, origin=self._keys[0].name, log_keys=self._keys)
        except (Malformed, Unverified) as error:
            raise corrupt(source, 0, error.message) from None
        return Signed(checkpoint=checkpoint, note=note)

"""Whether the register file can be written: looked at once a second and after each write that failed, told without I/O.

A write that fails says so at once. A disk that is nearly full is found before that: what a register writes in the end
is a decision about who may act, and no action may begin whose stop could not be kept.
"""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING, Final

from answerable.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROOM_BYTES_MIN: Final = 1_048_576
"""Less than this on the disk of the registers counts as none: one write of theirs may take as much."""
_FAULTS: Final = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_NOMEM,
    }
)


class Room:
    """why: why the file cannot be written, one line; empty while it can. From any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failed = False
        self.why = ""

    def failed(self, error: sqlite3.Error, reason: str) -> None:
        """A write did not go through; one that another process held up says nothing of the disk."""
        # Extended codes have the primary one in their lowest byte.
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _FAULTS:
            self._failed, self.why = True, reason

    def look(self, write: Callable[[], None] | None = None) -> str:
        """Look now; returns `why`. write: writes something, and is asked only after a write failed: nothing else ends
        that failure."""
        why = self._disk_fault()
        if not why and self._failed:
            if write is None:
                return self.why
            try:
                write()
            except Unavailable as failed:
                why = failed.message
            else:
                self._failed = False
        self.why = why
        return why

    def _disk_fault(self) -> str:
        try:
            found = os.statvfs(self._path.parent)
        except OSError as error:
            return f"its folder cannot be looked at: {(error.strerror or 'no reason given').lower()}"
        if found.f_flag & os.ST_RDONLY:
            return "its disk is mounted read-only"
        left = found.f_bavail * found.f_frsize
        if left < ROOM_BYTES_MIN:
            return f"{left} bytes are left on its disk, and it needs {ROOM_BYTES_MIN}"
        return ""

"""Track whether the register file can be written: checked once a second and after each failed write, reported without
I/O.

A failed write is reported at once. A nearly full disk is detected before a write fails: registers write who may act,
and no action may begin if its stop could not be stored.
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
"""With less free space, the disk counts as full: one write of the registers may take this much."""
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
    """State of the file. why: why the file cannot be written, one line; empty while it can be. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failed = False
        self.why = ""

    def failed(self, error: sqlite3.Error, reason: str) -> None:
        """Record a failed write. A write that another process blocked says nothing about the disk."""
        # The lowest byte of an extended code is the primary code.
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _FAULTS:
            self._failed, self.why = True, reason

    def look(self, write: Callable[[], None] | None = None) -> str:
        """Check now, and return `why`. write: performs a write; called only after a failed write, since only a
        successful write clears that state."""
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

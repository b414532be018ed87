"""Share a counter in memory among all processes on one register file, so that a check for changes needs no system call.

The counter only speeds up notification. The database has the truth, and every process queries it at short intervals
(`revocations.CHECK_SECONDS`): a lost, replaced, truncated or reset file delays a notification by that interval and
never drops it.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import stat
import threading
from typing import TYPE_CHECKING, Final

from answerable.errors import Unavailable
from answerable.errors.codes.ledger import REGISTER_EPOCH

if TYPE_CHECKING:
    from pathlib import Path

WORD_BYTES: Final = 8
MODE: Final = 0o600
_MASK: Final = (1 << 64) - 1


class SharedEpoch:
    """One 8-byte counter, mapped into every process. Thread-safe."""

    def __init__(self, path: Path) -> None:
        """Map the file, created if it does not exist (mode 0600). Raises Unavailable (`register.epoch`)."""
        self._path = path
        self._turn = threading.Lock()
        self._descriptor = -1
        self._place = (0, 0)
        self.cell = _still(0)
        """Holds the counter alone, and is replaced when another file is mapped. Read it as `word` does."""
        self._closed = False
        self._open()

    @property
    def word(self) -> int:
        """The counter's value. Call `is_intact` at intervals: reading a truncated file would crash the process."""
        return self.cell[0]

    def bump(self) -> None:
        """Change the counter, for every process that maps it.

        If the file is no longer the mapped one, the old and the new file are both counted up, since some processes read
        one and some the other. Raises Unavailable (`register.epoch`).
        """
        with self._turn:
            if self._is_whole():
                self._count_up()
            if not self._is_ours():
                self._open()
                self._count_up()

    def is_intact(self) -> bool:
        """Whether the file at the path is the mapped one, and not truncated."""
        return self._descriptor >= 0 and self._is_ours()

    def reopen(self) -> None:
        """Map the file at the path, created if it does not exist. Raises Unavailable (`register.epoch`)."""
        with self._turn:
            self._open()

    def close(self) -> None:
        """Close the file; `word` keeps its last value. Idempotent."""
        with self._turn:
            self._closed = True
            self._let_go()

    def _open(self) -> None:
        """Map the file. After any failure, a truncated file is not read again."""
        try:
            self._map()
        finally:
            if not self._is_whole():
                self._let_go()

    def _map(self) -> None:
        if self._closed:
            raise _unavailable(OSError(0, "it was closed"))
        try:
            # No link is followed, and a created file is private.
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)
        except OSError as error:
            raise _unavailable(error) from None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(0, "not a plain file")
            if stat.S_IMODE(status.st_mode) & 0o077:
                os.fchmod(descriptor, MODE)
            if status.st_size < WORD_BYTES:
                os.ftruncate(descriptor, WORD_BYTES)
            mapped = mmap.mmap(descriptor, WORD_BYTES)
        except (OSError, ValueError) as error:
            os.close(descriptor)
            raise _unavailable(error) from None
        self._let_go()
        self._descriptor = descriptor
        # One aligned word, read and written atomically.
        self.cell = memoryview(mapped).cast("Q")
        self._place = (status.st_dev, status.st_ino)

    def _let_go(self) -> None:
        if self._descriptor < 0:
            return
        # Another thread may be reading: the mapping is freed when its last reference is dropped.
        self.cell = _still(self.cell[0] if self._is_whole() else 0)
        os.close(self._descriptor)
        self._descriptor = -1

    def _count_up(self) -> None:
        # Concurrent increments by two processes must not result in the same number.
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            self.cell[0] = (self.cell[0] + 1) & _MASK
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _is_whole(self) -> bool:
        """Whether the file is not truncated: a read beyond its end would kill the process (SIGBUS)."""
        return self._descriptor >= 0 and os.fstat(self._descriptor).st_size >= WORD_BYTES

    def _is_ours(self) -> bool:
        try:
            status = os.lstat(self._path)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._place and status.st_size >= WORD_BYTES


def _still(number: int) -> memoryview[int]:
    """Return a counter that is not mapped from a file."""
    word = memoryview(bytearray(WORD_BYTES)).cast("Q")
    word[0] = number
    return word


def _unavailable(error: Exception) -> Unavailable:
    reason = (error.strerror or "no reason given") if isinstance(error, OSError) else str(error)
    return REGISTER_EPOCH(f"the shared epoch of the register cannot be kept: {reason.lower()}")

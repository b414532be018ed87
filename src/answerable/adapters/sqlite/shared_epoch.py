"""A number in memory that all processes on one register file share, so that news of an end costs a look and no call.

It only makes news quick. What is true stands in the database, which every process asks by itself at short intervals
(`revocations.CHECK_SECONDS`): a file that was lost, replaced, cut or set back delays the news by that much and never
swallows it.
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
    """One 8-byte counter, mapped into every process. Safe for several threads."""

    def __init__(self, path: Path) -> None:
        """Map the file, made if there is none (mode 0600). Raises Unavailable (`register.epoch`)."""
        self._path = path
        self._turn = threading.Lock()
        self._descriptor = -1
        self._place = (0, 0)
        self._word = _still(0)
        self._closed = False
        self._open()

    @property
    def word(self) -> int:
        """What the counter says. Ask `is_intact` at intervals: a file that was cut short must not be looked into."""
        return self._word[0]

    def bump(self) -> None:
        """Let the counter say something else, for every process that has it mapped.

        Where the file is not what was mapped any more, both the old one and the new one are counted up: some processes
        look at the one, some at the other. Raises Unavailable (`register.epoch`).
        """
        with self._turn:
            if self._is_whole():
                self._count_up()
            if not self._is_ours():
                self._open()
                self._count_up()

    def is_intact(self) -> bool:
        """Whether the file at its path is the one that is mapped here, and whole."""
        return self._is_whole() and self._is_ours()

    def reopen(self) -> None:
        """Map what is at the path now, made anew if it is gone. Raises Unavailable (`register.epoch`)."""
        with self._turn:
            self._open()

    def close(self) -> None:
        """Let go of the file; `word` says what it said last. Idempotent."""
        with self._turn:
            self._closed = True
            self._let_go()

    def _open(self) -> None:
        """Whatever fails, a file that was cut short is not looked into again."""
        try:
            self._map()
        finally:
            if not self._is_whole():
                self._let_go()

    def _map(self) -> None:
        if self._closed:
            raise _unavailable(OSError(0, "it was closed"))
        try:
            # No link is followed, and nobody else may read or write what is made.
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
        # One aligned word: read and written whole.
        self._word = memoryview(mapped).cast("Q")
        self._place = (status.st_dev, status.st_ino)

    def _let_go(self) -> None:
        if self._descriptor < 0:
            return
        # Another thread may be looking at it: the mapping goes when nobody does.
        self._word = _still(self._word[0] if self._is_whole() else 0)
        os.close(self._descriptor)
        self._descriptor = -1

    def _count_up(self) -> None:
        # Two processes that count at once must not come to the same number.
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            self._word[0] = (self._word[0] + 1) & _MASK
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _is_whole(self) -> bool:
        """Pages beyond the end of a file cannot be looked into: the system would end the process."""
        return self._descriptor >= 0 and os.fstat(self._descriptor).st_size >= WORD_BYTES

    def _is_ours(self) -> bool:
        try:
            status = os.lstat(self._path)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._place and status.st_size >= WORD_BYTES


def _still(number: int) -> memoryview[int]:
    """What is looked at while no file is mapped."""
    word = memoryview(bytearray(WORD_BYTES)).cast("Q")
    word[0] = number
    return word


def _unavailable(error: Exception) -> Unavailable:
    reason = (error.strerror or "no reason given") if isinstance(error, OSError) else str(error)
    return REGISTER_EPOCH(f"the shared epoch of the register cannot be kept: {reason.lower()}")

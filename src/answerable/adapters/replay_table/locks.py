"""Locks on single bytes of one open file, between processes: the kernel gives them back when a process dies.

Open file description locks (Linux, fcntl(2)), because those of POSIX end when any descriptor of the file is closed.
They do not part threads, which share the description: callers hold a lock of their own meanwhile.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from answerable.errors import Unavailable
from answerable.errors.codes.ledger import REPLAY_UNAVAILABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

YIELDS_MAX: Final = 50
PAUSE_SECONDS: Final = 0.0005
PAUSES_MAX: Final = 400
"""How often a lock that another process holds is asked for again: at first by giving it the processor, then after a
pause each. It is held for microseconds: whoever waits longer waits for a process that was stopped, and is refused."""

# struct flock: type, whence, start, length, pid; the last pads it to its size.
_FLOCK: Final = struct.Struct("hhqqiI")


class ByteLocks:
    """For the process that opened the file; a child that inherited the descriptor would share its parent's locks."""

    __slots__ = ("_descriptor", "_pause", "_process")

    def __init__(self, descriptor: int) -> None:
        self._descriptor: Final = descriptor
        self._process: Final = os.getpid()
        self._pause: Final = threading.Event()

    @contextmanager
    def held(self, offset: int) -> Iterator[None]:
        """Keep every other process from the same byte. Raises Unavailable (`replay.unavailable`)."""
        if os.getpid() != self._process:
            raise unavailable("the replay table was opened before this process was forked: open it anew")
        try:
            self._take(offset)
        except OSError as error:
            raise unavailable(f"cannot lock the replay table: {error.strerror}") from None
        try:
            yield
        finally:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, _request(fcntl.F_UNLCK, offset))

    def _take(self, offset: int) -> None:
        request = _request(fcntl.F_WRLCK, offset)
        for attempt in range(YIELDS_MAX + PAUSES_MAX):
            try:
                fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, request)
            except BlockingIOError:
                if attempt < YIELDS_MAX:
                    os.sched_yield()
                else:
                    self._pause.wait(PAUSE_SECONDS)
            else:
                return
        raise unavailable("another process holds the replay table")


def joined(descriptor: int, offset: int) -> bool:
    """Be counted among those who have the file open, until it is closed here; whether nobody else was.

    For one process at a time. Raises OSError.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _request(fcntl.F_WRLCK, offset))
        alone = True
    except BlockingIOError:
        alone = False
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _request(fcntl.F_RDLCK, offset))
    return alone


def unavailable(message: str) -> Unavailable:
    """The error of this port."""
    return REPLAY_UNAVAILABLE(message)


def _request(kind: int, offset: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, offset, 1, 0, 0)

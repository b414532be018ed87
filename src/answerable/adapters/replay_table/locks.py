"""Lock single bytes of one open file between processes. The kernel releases a lock when its process dies.

Open file description locks (Linux, fcntl(2)), because POSIX locks end when any descriptor of the file is closed. They
do not exclude threads, which share the description: callers also hold a lock of their own.
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
"""How often to try for a lock that another process holds: at first with a yield of the processor, then with a pause
between attempts. A lock is held for microseconds; a longer wait means that its holder is stopped, and the caller is
refused."""

# struct flock: type, whence, start, length, pid; the last member includes the padding.
_FLOCK: Final = struct.Struct("hhqqiI")


class ByteLocks:
    """For the process that opened the file; a child that inherits the descriptor would share its parent's locks."""

    __slots__ = ("_descriptor", "_pause", "_process")

    def __init__(self, descriptor: int) -> None:
        self._descriptor: Final = descriptor
        self._process: Final = os.getpid()
        self._pause: Final = threading.Event()

    @contextmanager
    def held(self, offset: int) -> Iterator[None]:
        """Exclude every other process from the same byte. Raises Unavailable (`replay.unavailable`)."""
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
    """Register this process as a user of the file until it closes the file. Return whether it is the only one.

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
    """Return the port's error."""
    return REPLAY_UNAVAILABLE(message)


def _request(kind: int, offset: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, offset, 1, 0, 0)

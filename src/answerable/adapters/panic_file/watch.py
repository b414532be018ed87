"""Waiting for a press: Linux tells what is made, renamed or touched in the data directory, so that nobody has to look.

Laws: who waits looks for itself, and is only told when to; where the system does not tell everything (another system, a
file system that others can change beneath this machine, no watch left), `tells` says so, and who waits looks as often
as it would without.
Source: inotify(7), statfs(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from typing import TYPE_CHECKING, Final

import anyio

if TYPE_CHECKING:
    from pathlib import Path

READ_BYTES_MAX: Final = 65_536
STATFS_BYTES: Final = 512
"""More than any system's `struct statfs`, whose first word is the type."""
TYPE_MASK: Final = 0xFFFF_FFFF

_ATTRIB, _MOVED_TO, _CREATE = 0x4, 0x80, 0x100
_DELETE_SELF, _MOVE_SELF, _ONLY_DIRECTORY = 0x400, 0x800, 0x0100_0000
_EVENTS: Final = _ATTRIB | _MOVED_TO | _CREATE | _DELETE_SELF | _MOVE_SELF | _ONLY_DIRECTORY

OWN_FILE_SYSTEMS: Final = frozenset(
    {
        0xEF53,  # ext2, ext3, ext4
        0x5846_5342,  # XFS
        0x9123_683E,  # Btrfs
        0xF2F5_2010,  # F2FS
        0x2FC1_2FC1,  # ZFS
        0x0102_1994,  # tmpfs
    }
)
"""All of whose changes go through this kernel; what a network, a host or a layer beneath changes does not."""


class PressWatch:
    """Of one directory; of the process that made it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor = -1
        self._place = (-1, -1)

    def tells(self) -> bool:
        """Whether all that comes about in the directory from here on ends `news`. Watches it anew where it is another
        one than before; asked before each look. Never raises."""
        place = _place_of(self._directory)
        if self._descriptor < 0 or place != self._place:
            self.close()
            self._place = place
            self._descriptor = _watching(self._directory)
            # Whoever put another one there meanwhile is found by the next call.
            if self._descriptor >= 0 and _place_of(self._directory) != place:
                self.close()
        return self._descriptor >= 0

    async def news(self, *, seconds_max: float) -> None:
        """Wait until something came about since `tells` was asked first, at most so long."""
        with anyio.move_on_after(seconds_max):
            if self._descriptor < 0:
                await anyio.sleep_forever()
            await anyio.wait_readable(self._descriptor)
            with contextlib.suppress(BlockingIOError):
                os.read(self._descriptor, READ_BYTES_MAX)

    def close(self) -> None:
        """Let go of the watch. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _place_of(directory: Path) -> tuple[int, int]:
    try:
        status = directory.stat()
    except OSError:
        return (-1, -1)
    return status.st_dev, status.st_ino


def _watching(directory: Path) -> int:
    """A descriptor that can be read once something came about; -1 where the system would not tell everything."""
    if sys.platform != "linux":
        return -1
    try:
        system = ctypes.CDLL(None, use_errno=True)
        path, kind = os.fsencode(directory), ctypes.create_string_buffer(STATFS_BYTES)
        if system.statfs(path, kind) < 0:
            return -1
        word = ctypes.c_long.from_buffer(kind).value & TYPE_MASK
        if word not in OWN_FILE_SYSTEMS:
            return -1
        descriptor = int(system.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        if descriptor >= 0 and system.inotify_add_watch(descriptor, path, _EVENTS) < 0:
            os.close(descriptor)
            return -1
    except (OSError, AttributeError):
        return -1
    return descriptor

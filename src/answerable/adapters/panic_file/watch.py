"""Wait for a panic press with inotify: Linux reports files that are created, renamed or touched in the data directory,
so the waiting task need not poll.

Laws: the waiting task always checks for the press itself; the watch only wakes it. If the system does not report every
change (another system, a file system that can change beneath this machine, no watch available), `tells` returns False,
and the task polls as often as without a watch.

Source: inotify(7), statfs(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
from typing import TYPE_CHECKING, Final

import anyio

from answerable.core.containment.press import FILE

if TYPE_CHECKING:
    from pathlib import Path

READ_BYTES_MAX: Final = 65_536
STATFS_BYTES: Final = 512
"""More than any system's `struct statfs`, whose first word is the type."""
TYPE_MASK: Final = 0xFFFF_FFFF

_ATTRIB, _MOVED_TO, _CREATE = 0x4, 0x80, 0x100
_DELETE_SELF, _MOVE_SELF, _ONLY_DIRECTORY = 0x400, 0x800, 0x0100_0000
_EVENT: Final = struct.Struct("iIII")
"""`struct inotify_event`: watch, mask, cookie, and the length of the name that follows."""
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
"""File systems all of whose changes pass through this kernel. Changes by a network, a host or a lower layer do not."""


class PressWatch:
    """Watch of one directory. It belongs to the process that created it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor = -1
        self._place = (-1, -1)

    def tells(self) -> bool:
        """Whether every change in the directory from now on ends `news`. Renews the watch if the directory was
        replaced. Call this before each check for a press. Never raises."""
        place = _place_of(self._directory)
        if self._descriptor < 0 or place != self._place:
            self.close()
            self._place = place
            self._descriptor = _watching(self._directory)
            # If the directory was replaced in between, the next call finds out.
            if self._descriptor >= 0 and _place_of(self._directory) != place:
                self.close()
        return self._descriptor >= 0

    async def news(self, *, seconds_max: float) -> bool:
        """Wait until something changed since the first call of `tells`, at most `seconds_max`. Return whether a press
        file was made meanwhile, even one that is gone again."""
        made = False
        with anyio.move_on_after(seconds_max):
            if self._descriptor < 0:
                await anyio.sleep_forever()
            await anyio.wait_readable(self._descriptor)
            with contextlib.suppress(BlockingIOError):
                made = _is_made(os.read(self._descriptor, READ_BYTES_MAX))
        return made

    def close(self) -> None:
        """Remove the watch. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _is_made(events: bytes) -> bool:
    """Whether one of these events is that a press file was made, or got its name."""
    offset = 0
    while offset < len(events):
        _, mask, _, length = _EVENT.unpack_from(events, offset)
        offset += _EVENT.size + length
        if mask & (_CREATE | _MOVED_TO) and events[offset - length : offset].rstrip(b"\0") == FILE.encode():
            return True
    return False


def _place_of(directory: Path) -> tuple[int, int]:
    try:
        status = directory.stat()
    except OSError:
        return (-1, -1)
    return status.st_dev, status.st_ino


def _watching(directory: Path) -> int:
    """Return an inotify descriptor, readable after a change; -1 if the system would not report every change."""
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

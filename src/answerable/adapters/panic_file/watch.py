"""Wait for a panic press with inotify: Linux reports files that are created, renamed, touched or written in the data
directory, so the waiting task need not poll.

Laws: the waiting task always checks for the press itself; the watch only wakes it. If the system does not report every
change (another system, a file system that can change beneath this machine, no watch available), `tells` returns False,
and the task polls as often as without a watch.

Source: inotify(7), statfs(2).
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio

from answerable.core.containment.press import FILE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from answerable.core.containment.press import Press

READ_BYTES_MAX: Final = 65_536
STATFS_BYTES: Final = 512
"""More than any system's `struct statfs`, whose first word is the type."""
TYPE_MASK: Final = 0xFFFF_FFFF

LOOKS_MAX: Final = 8
"""How often one look reads a file that changes meanwhile."""

_ATTRIB, _CLOSE_WRITE, _MOVED_TO, _CREATE = 0x4, 0x8, 0x80, 0x100
_LOST: Final = 0x4000
"""`IN_Q_OVERFLOW`: events were dropped."""
_DELETE_SELF, _MOVE_SELF, _ONLY_DIRECTORY = 0x400, 0x800, 0x0100_0000
_EVENT: Final = struct.Struct("iIII")
"""`struct inotify_event`: watch, mask, cookie, and the length of the name that follows."""
_EVENTS: Final = _ATTRIB | _CLOSE_WRITE | _MOVED_TO | _CREATE | _DELETE_SELF | _MOVE_SELF | _ONLY_DIRECTORY

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What there is, and what the system reported of it since the look before. is_made: a press file was created or got
    its name, even one that is gone again. is_finishing: whatever changed is by whoever created the file at an earlier
    look, and had not closed it then; False where the system did not report that."""

    found: Press | None
    is_made: bool
    is_finishing: bool


class PressWatch:
    """Watch of one directory. It belongs to the process that created it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor = -1
        self._place = (-1, -1)
        self._is_written = False

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

    async def news(self, *, seconds_max: float) -> None:
        """Wait until something changed since the last look, at most `seconds_max`."""
        with anyio.move_on_after(seconds_max):
            if self._descriptor < 0:
                await anyio.sleep_forever()
            await anyio.wait_readable(self._descriptor)

    def look(self, read: Callable[[], Press | None]) -> Look:
        """Read the file, again where it changed meanwhile: what is found is what was reported. Raises as `read`."""
        was_written = self._is_written
        told = self._reported()
        for _ in range(LOOKS_MAX):
            found = read()
            more = self._reported()
            if not more:
                break
            told += more
        is_made = any(mask & (_CREATE | _MOVED_TO) for mask in told)
        # Whatever follows the end of the writing is somebody's else.
        is_over = any(mask & _CLOSE_WRITE for mask in told[:-1]) or _LOST in told
        return Look(
            found=found, is_made=is_made, is_finishing=was_written and not (more or is_made or is_over)
        )

    def _reported(self) -> list[int]:
        """Return the events of the press file since the last call."""
        if self._descriptor < 0:
            return []
        try:
            told = _of_press(os.read(self._descriptor, READ_BYTES_MAX))
        except BlockingIOError:
            return []
        for mask in told:
            if mask & (_CREATE | _MOVED_TO | _CLOSE_WRITE | _LOST):
                self._is_written = bool(mask & _CREATE)
        return told

    def close(self) -> None:
        """Remove the watch. Idempotent."""
        self._is_written = False
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _of_press(events: bytes) -> list[int]:
    """Return the masks of those events that are about the press file, or say that some were lost."""
    found = []
    offset = 0
    while offset < len(events):
        _, mask, _, length = _EVENT.unpack_from(events, offset)
        offset += _EVENT.size + length
        if mask & _LOST or events[offset - length : offset].rstrip(b"\0") == FILE.encode():
            found.append(mask)
    return found


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

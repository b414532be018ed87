"""Whether who connects is a process that we started, or one of its descendants.

The kernel says who connected; `/proc` says whose child that is. As we adopt orphans, every descendant of our child has
us among its ancestors, and nobody else has.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from typing import Final

DEPTH_MAX: Final = 256
"""Generations between us and a descendant."""

_UCRED: Final = struct.Struct("3i")
# Fields 4 and 22 of /proc/PID/stat, counted from behind the command, which may hold anything.
_PARENT_FIELD: Final = 1
_STARTED_FIELD: Final = 19


def is_kin(connected: socket.socket, *, own: int | None = None) -> bool:
    """Whether the process at the other end of this Unix socket runs as our user and descends from us.

    Where the kernel does not say who connected, the mode of the directory that the socket is in has to do.
    """
    if not hasattr(socket, "SO_PEERCRED"):
        return sys.platform != "linux"
    pid, uid, _ = _UCRED.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return uid == os.geteuid() and descends(pid, os.getpid() if own is None else own)


def descends(pid: int, ancestor: int) -> bool:
    """Whether a process is a descendant of another one, and not that one itself."""
    first = _stat(pid)
    if first is None or pid == ancestor:
        return False
    at = pid
    for _ in range(DEPTH_MAX):
        found = _stat(at)
        if found is None:
            return False
        parent = found[0]
        if parent == ancestor:
            # The same process from first to last, and not one that was given its number meanwhile.
            return _stat(pid) is not None and (_stat(pid) or (0, 0))[1] == first[1]
        if parent <= 1:
            return False
        at = parent
    return False


def _stat(pid: int) -> tuple[int, int] | None:
    """Parent and start time."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read(4096).rpartition(b")")[2].split()
        return int(fields[_PARENT_FIELD]), int(fields[_STARTED_FIELD])
    except (OSError, ValueError, IndexError):
        return None

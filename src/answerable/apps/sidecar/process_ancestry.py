"""Check whether the process at the other end of a Unix socket is a descendant of this process.

The kernel reports the peer's pid; `/proc` reports its parents. As this process adopts orphans, every descendant of its
child has this process among its ancestors, and no other process has.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from typing import Final

DEPTH_MAX: Final = 256
"""Generations searched between this process and a descendant."""

_UCRED: Final = struct.Struct("3i")
# Fields 4 and 22 of /proc/PID/stat, counted after the command name, which may contain anything.
_PARENT_FIELD: Final = 1
_STARTED_FIELD: Final = 19


def is_kin(connected: socket.socket, *, own: int | None = None) -> bool:
    """Whether the process at the other end of this Unix socket runs as this process's user and descends from this
    process.

    If the kernel cannot identify the peer, the mode of the socket's directory is the only protection.
    """
    if not hasattr(socket, "SO_PEERCRED"):
        return sys.platform != "linux"
    pid, uid, _ = _UCRED.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return uid == os.geteuid() and descends(pid, os.getpid() if own is None else own)


def descends(pid: int, ancestor: int) -> bool:
    """Whether a process is a descendant of another one, and not the same process."""
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
            # Check that the pid still belongs to the process examined first, and was not reused meanwhile.
            return _stat(pid) is not None and (_stat(pid) or (0, 0))[1] == first[1]
        if parent <= 1:
            return False
        at = parent
    return False


def _stat(pid: int) -> tuple[int, int] | None:
    """Return the parent and the start time."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read(4096).rpartition(b")")[2].split()
        return int(fields[_PARENT_FIELD]), int(fields[_STARTED_FIELD])
    except (OSError, ValueError, IndexError):
        return None

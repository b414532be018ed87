"""Identify the process at the other end of a Unix socket and hold it by a pidfd, so that a reused pid is not mistaken
for it.

Laws: what the kernel reports about a connection counts, never what the client writes. A process that has executed
another program since it was first identified is not the same any more. While a pidfd is not readable its process has
not ended, and no other process has its pid; so data read from `/proc` before a check of the pidfd is of that process.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SO_PEERPIDFD: Final = 77
"""Linux 6.5: a pidfd of the connecting process, taken when it connected; Python has no name for it yet."""
PROC: Final = Path("/proc")
STATUS_BYTES_MAX: Final = 65_536

_UCRED: Final = struct.Struct("3i")
# Field 22 of /proc/PID/stat, counted after the command name, which may contain anything.
_STARTED_FIELD: Final = 19
_STATE_FIELD: Final = 0
_DEAD: Final = (b"Z", b"X", b"x")


@dataclass(slots=True, kw_only=True, eq=False)
class PeerProcess:
    """One process. started: in clock ticks since boot; with the pid it identifies the process while the machine runs.

    uid, gid: as the kernel recorded them at connection time. pidfd: -1 once closed. program: device and inode of the
    program it ran when first identified; None if that cannot be read.
    """

    pid: int
    uid: int
    gid: int
    started: int
    pidfd: int
    proc: Path = PROC
    program: tuple[int, int] | None = None

    def is_alive(self) -> bool:
        """Whether the process still exists and runs the program that it ran when first identified; False for good once
        it has ended or `close` was called."""
        if self.pidfd < 0 or _started(self.pid, self.proc) != self.started:
            return False
        return _program(self.pid, self.proc) == self.program and not _has_ended(self.pidfd)

    def close(self) -> None:
        """Close the pidfd. Idempotent."""
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1


def connected_process(connected: Any, *, proc: Path = PROC) -> PeerProcess | None:
    """Return the process that connected this Unix socket; None if it has ended or the kernel cannot tell. The caller
    owns and closes it. connected: a socket, or what a transport gives for one.

    From Linux 6.5 the pidfd is the one taken when it connected. Before, reuse of the pid between connecting and this
    call goes unnoticed, unless user or group differ.
    """
    if connected is None or connected.family != socket.AF_UNIX or not hasattr(socket, "SO_PEERCRED"):
        return None
    pid, uid, gid = _UCRED.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    # 0 means a process in a pid namespace that this process cannot see.
    if pid <= 0:
        return None
    try:
        pidfd = connected.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD)
    except ProcessLookupError:
        return None
    except OSError:
        return _opened(pid, proc, expected=(uid, gid))
    os.set_inheritable(pidfd, False)
    return _held(PeerProcess(pid=pid, uid=uid, gid=gid, started=_started(pid, proc), pidfd=pidfd, proc=proc))


def referenced_process(pid: int, *, proc: Path = PROC) -> PeerProcess | None:
    """Return the process that has this pid now, or None. The caller owns and closes it."""
    return _opened(pid, proc) if pid > 0 else None


def _opened(pid: int, proc: Path, expected: tuple[int, int] | None = None) -> PeerProcess | None:
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return None
    owner = _owner(pid, proc)
    if owner is None or (expected is not None and owner != expected):
        os.close(pidfd)
        return None
    started = _started(pid, proc)
    return _held(PeerProcess(pid=pid, uid=owner[0], gid=owner[1], started=started, pidfd=pidfd, proc=proc))


def _held(process: PeerProcess) -> PeerProcess | None:
    """Return the process if it still exists; otherwise close its pidfd."""
    process.program = _program(process.pid, process.proc)
    if process.started > 0 and process.is_alive():
        return process
    process.close()
    return None


def _has_ended(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def _started(pid: int, proc: Path) -> int:
    """Return the start time; 0 if there is no such process, or only a zombie."""
    with suppress(OSError, ValueError, IndexError):
        # Read for each answer: without the buffer and path objects it costs a third.
        with open(f"{proc}/{pid}/stat", "rb", buffering=0) as file:
            fields = file.read(STATUS_BYTES_MAX).rpartition(b")")[2].split()
        return 0 if fields[_STATE_FIELD] in _DEAD else int(fields[_STARTED_FIELD])
    return 0


def _program(pid: int, proc: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        found = os.stat(f"{proc}/{pid}/exe")
        return found.st_dev, found.st_ino
    return None


def _owner(pid: int, proc: Path) -> tuple[int, int] | None:
    """Return the effective user and group, as SO_PEERCRED reports them."""
    with suppress(OSError, ValueError, IndexError, KeyError):
        with (proc / str(pid) / "status").open("rb") as file:
            lines = file.read(STATUS_BYTES_MAX).splitlines()
        found = {name: rest.split() for name, _, rest in (line.partition(b":") for line in lines)}
        return int(found[b"Uid"][1]), int(found[b"Gid"][1])
    return None

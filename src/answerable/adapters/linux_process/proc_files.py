"""Read files of `/proc/PID` (proc(5)) with size limits, through one open descriptor of the directory."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import Final

FILE_BYTES_MAX: Final = 1_048_576
DELETED: Final = " (deleted)"

# Indexes of `stat` fields after the command name, which may itself contain blanks and brackets.
_STATE: Final = 0
_PARENT: Final = 1
_START: Final = 19


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Ids of a process. uid, gid: effective ids. group: thread group id, which is the process id."""

    group: int
    uid: int
    gid: int


class ProcDirectory:
    """`/proc/PID`, held open: once the process has ended, every read through it fails, even if the pid is reused.

    Context manager. Raises OSError, and ValueError for malformed content.
    """

    __slots__ = ("_descriptor",)

    def __init__(self, proc: str, pid: int) -> None:
        self._descriptor = os.open(f"{proc}/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> ProcDirectory:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def text(self, name: str) -> bytes:
        """Return the content of a file. Raises ValueError if it exceeds the limit."""
        descriptor = self.opened(name, os.O_RDONLY)
        try:
            content = bytearray()
            while chunk := os.read(descriptor, 65_536):
                content += chunk
                if len(content) > FILE_BYTES_MAX:
                    raise ValueError(f"more than {FILE_BYTES_MAX} bytes")
            return bytes(content)
        finally:
            os.close(descriptor)

    def opened(self, name: str, flags: int) -> int:
        """Open a file and return its descriptor, which the caller closes."""
        return os.open(name, flags | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=self._descriptor)

    def link(self, name: str) -> str:
        """Return the target of a link, as the kernel writes it."""
        return os.readlink(name, dir_fd=self._descriptor)

    def place(self, name: str) -> tuple[int, int]:
        """Return device and inode of a link's target."""
        found = os.stat(name, dir_fd=self._descriptor)
        return found.st_dev, found.st_ino

    def life(self) -> tuple[str, int]:
        """Return the state and the start time in clock ticks since boot."""
        fields = self.text("stat").rpartition(b")")[2].split()
        return fields[_STATE].decode("ascii"), int(fields[_START])

    def parent(self) -> int:
        """Return the current parent's pid; 0 if the parent is outside our pid namespace."""
        return int(self.text("stat").rpartition(b")")[2].split()[_PARENT])

    def status(self) -> Status:
        """Return the ids, as seen in this process's own user namespace."""
        found: dict[bytes, list[bytes]] = {}
        for line in self.text("status").splitlines():
            name, _, rest = line.partition(b":")
            # The kernel escapes line breaks in the command name, which comes first; of duplicate names the first
            # counts.
            found.setdefault(name, rest.split())
        return Status(group=int(found[b"Tgid"][0]), uid=int(found[b"Uid"][1]), gid=int(found[b"Gid"][1]))

    def cgroup(self) -> str:
        """Return the path in the unified hierarchy (cgroups(7), version 2); empty if it is outside our cgroup root."""
        for line in self.text("cgroup").decode("utf-8", "surrogateescape").splitlines():
            if line.startswith("0::"):
                path = line.removeprefix("0::")
                outside = ".." in path.split("/") or path.endswith(DELETED)
                return "" if outside or not path.startswith("/") else path
        return ""

    def file_system(self, mount: int) -> str:
        """Return the file system type of a mount; empty if the process does not see the mount."""
        for line in self.text("mountinfo").splitlines():
            head, _, tail = line.partition(b" - ")
            if tail and int(head.split(b" ", 1)[0]) == mount:
                return tail.split(b" ", 1)[0].decode("ascii", "replace")
        return ""


def mount_of(descriptor: int) -> int:
    """Return the id of the mount through which a file was opened. Raises OSError, ValueError."""
    with open(f"/proc/self/fdinfo/{descriptor}", "rb") as content:
        for line in content.read(FILE_BYTES_MAX).splitlines():
            if line.startswith(b"mnt_id:"):
                return int(line.removeprefix(b"mnt_id:"))
    raise ValueError("no mount")


def pid_of(pidfd: int) -> int:
    """Return the pid of a pidfd in our pid namespace; -1 if the process has ended. Raises OSError, ValueError."""
    with open(f"/proc/self/fdinfo/{pidfd}", "rb") as content:
        for line in content.read(FILE_BYTES_MAX).splitlines():
            if line.startswith(b"Pid:"):
                return int(line.removeprefix(b"Pid:"))
    raise ValueError("not a pidfd")


def is_plain(found: os.stat_result) -> bool:
    """Whether it is a regular file that still has a name; a deleted file has no links."""
    return stat.S_ISREG(found.st_mode) and found.st_nlink > 0

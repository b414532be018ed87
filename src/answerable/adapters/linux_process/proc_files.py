"""Reading `/proc/PID` (proc(5)), with bounds, relative to one open descriptor of the directory."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import Final

FILE_BYTES_MAX: Final = 1_048_576
DELETED: Final = " (deleted)"

# Fields of `stat` after the command, which may itself hold blanks and brackets.
_STATE: Final = 0
_PARENT: Final = 1
_START: Final = 19


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """uid, gid: effective ids. group: id of the thread group, which is the process."""

    group: int
    uid: int
    gid: int


class ProcDirectory:
    """`/proc/PID`, held open: once the process has ended, everything read through it fails, whoever has the number.

    Context manager. Raises OSError and, for what is not of the format, ValueError.
    """

    __slots__ = ("_descriptor",)

    def __init__(self, proc: str, pid: int) -> None:
        self._descriptor = os.open(f"{proc}/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> ProcDirectory:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def text(self, name: str) -> bytes:
        """A whole file. Raises ValueError past the bound."""
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
        """A descriptor; the caller closes it."""
        return os.open(name, flags | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=self._descriptor)

    def link(self, name: str) -> str:
        """Where a link leads, as the kernel writes it."""
        return os.readlink(name, dir_fd=self._descriptor)

    def place(self, name: str) -> tuple[int, int]:
        """Device and inode of what a link leads to."""
        found = os.stat(name, dir_fd=self._descriptor)
        return found.st_dev, found.st_ino

    def life(self) -> tuple[str, int]:
        """State and start time, in clock ticks since boot."""
        fields = self.text("stat").rpartition(b")")[2].split()
        return fields[_STATE].decode("ascii"), int(fields[_START])

    def parent(self) -> int:
        """Pid of its parent now; 0 where that is outside what we see."""
        return int(self.text("stat").rpartition(b")")[2].split()[_PARENT])

    def status(self) -> Status:
        """Ids, as this process's own user namespace counts them."""
        found: dict[bytes, list[bytes]] = {}
        for line in self.text("status").splitlines():
            name, _, rest = line.partition(b":")
            # The command comes first and has its line breaks escaped; of two lines with a name the first counts.
            found.setdefault(name, rest.split())
        return Status(group=int(found[b"Tgid"][0]), uid=int(found[b"Uid"][1]), gid=int(found[b"Gid"][1]))

    def cgroup(self) -> str:
        """Path in the one hierarchy (cgroups(7), version 2); empty where there is none below our own root."""
        for line in self.text("cgroup").decode("utf-8", "surrogateescape").splitlines():
            if line.startswith("0::"):
                path = line.removeprefix("0::")
                outside = ".." in path.split("/") or path.endswith(DELETED)
                return "" if outside or not path.startswith("/") else path
        return ""

    def file_system(self, mount: int) -> str:
        """Type of the file system of a mount that the process sees; empty when it sees no such mount."""
        for line in self.text("mountinfo").splitlines():
            head, _, tail = line.partition(b" - ")
            if tail and int(head.split(b" ", 1)[0]) == mount:
                return tail.split(b" ", 1)[0].decode("ascii", "replace")
        return ""


def mount_of(descriptor: int) -> int:
    """The mount that an open file was reached through. Raises OSError, ValueError."""
    with open(f"/proc/self/fdinfo/{descriptor}", "rb") as content:
        for line in content.read(FILE_BYTES_MAX).splitlines():
            if line.startswith(b"mnt_id:"):
                return int(line.removeprefix(b"mnt_id:"))
    raise ValueError("no mount")


def pid_of(pidfd: int) -> int:
    """The process of a pidfd, in our own numbering; -1 when it has ended. Raises OSError, ValueError."""
    with open(f"/proc/self/fdinfo/{pidfd}", "rb") as content:
        for line in content.read(FILE_BYTES_MAX).splitlines():
            if line.startswith(b"Pid:"):
                return int(line.removeprefix(b"Pid:"))
    raise ValueError("not a pidfd")


def is_plain(found: os.stat_result) -> bool:
    """Whether it is a file with a name: a deleted one has no link left."""
    return stat.S_ISREG(found.st_mode) and found.st_nlink > 0

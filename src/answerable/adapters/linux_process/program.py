"""Measure the program of a process: path and SHA-256 of its executable, or empty.

The content is read through `/proc/PID/exe`, which refers to the mapped file, whatever its path names by now. A path is
trusted only if it leads to that same file in our own mount namespace.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.adapters.linux_process.proc_files import DELETED, is_plain, mount_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.adapters.linux_process.proc_files import ProcDirectory

PROGRAM_BYTES_MAX: Final = 268_435_456
"""A larger executable has no SHA-256 selector."""
CACHED_MAX: Final = 1_024
SETTLED_NANOS: Final = 2_000_000_000
"""The digest of a file that changed more recently is not cached: the file may change again without a visible change of
its times."""
CHUNK_BYTES: Final = 1_048_576

LOCAL_FILE_SYSTEMS: Final = frozenset(
    {
        "ext2",
        "ext3",
        "ext4",
        "xfs",
        "btrfs",
        "f2fs",
        "zfs",
        "bcachefs",
        "overlay",
        "tmpfs",
        "ramfs",
        "rootfs",
        "squashfs",
        "erofs",
        "iso9660",
        "virtiofs",
    }
)
"""File systems whose contents and times the kernel itself guarantees. On others (FUSE, network), the server of the
files could return other contents than it runs, or never answer; programs there have no path and no SHA-256."""

_Identity = tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A measured program. identity: of the file as last seen. A value that cannot be determined reliably is empty."""

    path: str = ""
    sha256: str = ""
    identity: _Identity | None = None


class ProgramReader:
    """Reads programs, and caches digests by device, inode, times and size. Thread-safe."""

    __slots__ = ("_bytes_max", "_known", "_lock", "_wall_nanos")

    def __init__(self, *, wall_nanos: Callable[[], int], bytes_max: int = PROGRAM_BYTES_MAX) -> None:
        self._wall_nanos = wall_nanos
        self._bytes_max = bytes_max
        self._known: OrderedDict[_Identity, str] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, process: ProcDirectory) -> Program:
        """Return the program of a process. Never raises: what cannot be read is empty."""
        try:
            handle = process.opened("exe", os.O_PATH)
        except OSError:
            return Program()
        try:
            link = process.link("exe")
            if link.endswith(DELETED) or not is_plain(os.fstat(handle)):
                return Program(identity=_identity(os.fstat(handle)))
            # Checked before the file is opened for reading: opening a file on a foreign file system can hang.
            if process.file_system(mount_of(handle)) not in LOCAL_FILE_SYSTEMS:
                return Program(identity=_identity(os.fstat(handle)))
            digest, identity = self._digest(handle)
            return Program(path=link if _leads_to(link, handle) else "", sha256=digest, identity=identity)
        except (OSError, ValueError):
            return Program()
        finally:
            os.close(handle)

    def _digest(self, handle: int) -> tuple[str, _Identity]:
        descriptor = os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            before = _identity(os.fstat(descriptor))
            with self._lock:
                known = self._known.get(before)
                if known is not None:
                    self._known.move_to_end(before)
                    return known, before
            digest = self._hashed(descriptor, before)
            if not digest or _identity(os.fstat(descriptor)) != before:
                return "", before
            if self._wall_nanos() - max(before[2], before[3]) > SETTLED_NANOS:
                with self._lock:
                    self._known[before] = digest
                    if len(self._known) > CACHED_MAX:
                        self._known.popitem(last=False)
            return digest, before
        finally:
            os.close(descriptor)

    def _hashed(self, descriptor: int, identity: _Identity) -> str:
        """Return the SHA-256 of the file; empty if its length differs from its status or exceeds the limit."""
        left = identity[4]
        if left > self._bytes_max:
            return ""
        digest = sha256()
        while chunk := os.read(descriptor, CHUNK_BYTES):
            left -= len(chunk)
            if left < 0:
                return ""
            digest.update(chunk)
        return digest.hexdigest() if left == 0 else ""


def _identity(found: os.stat_result) -> _Identity:
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size


def _leads_to(path: str, handle: int) -> bool:
    """Whether this path, in our own mount namespace, is that file, and is not a symbolic link."""
    try:
        ours, theirs = os.lstat(path), os.fstat(handle)
    except OSError:
        return False
    return (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino)

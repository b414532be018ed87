"""Name, lock and durably write the files of one log.

    wal/<first index, 16 hex>.wal   segments, zero-filled       checkpoint        newest signed checkpoint
    wal/spare                       the next segment            checkpoints.log   all of them, a blank line after each
    tile/                           the tree and its leaves     cosigned          newest with cosignatures of witnesses
    tile.new/                       tiles being written         cosigned.log      all of them
    tile.damaged/                   what tiles were that did    log.pub           the log's verifier keys
                                    not lead to a signed root   lock              held while open
    head                            durable and sealed sizes

Functions in this module raise OSError; their callers translate it into `Unavailable`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from answerable.errors import shown
from answerable.errors.codes.ledger import LEDGER_LOCKED
from answerable.plain_file import open_plain

if TYPE_CHECKING:
    from pathlib import Path

WAL: Final = "wal"
SPARE: Final = "spare"
UNFINISHED: Final = "tile.new"
DAMAGED: Final = "tile.damaged"
CHECKPOINT: Final = "checkpoint"
CHECKPOINTS: Final = "checkpoints.log"
COSIGNED: Final = "cosigned"
COSIGNED_ALL: Final = "cosigned.log"
HEAD: Final = "head"
PUBLIC_KEY: Final = "log.pub"
LOCK: Final = "lock"

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_SPARE_SPACE_BYTES: Final = 1_048_576
"""Free space on the disk beyond a segment and its tiles, for checkpoints and the file system's own records."""
_ZEROS: Final = bytes(65_536)
_SEGMENT_NAME: Final = re.compile(r"[0-9a-f]{16}\.wal")


def segment_name(first_index: int) -> str:
    """Return the file name of the segment that starts with this entry."""
    return f"{first_index:016x}.wal"


def first_index(path: Path) -> int:
    """Return the index of the first entry of a segment, by its name."""
    return int(path.name.removesuffix(".wal"), 16)


def segment_paths(directory: Path) -> list[Path]:
    """Return the segments in order of their entries."""
    return sorted(path for path in (directory / WAL).iterdir() if _SEGMENT_NAME.fullmatch(path.name))


def made(directory: Path) -> None:
    """Create the directories of a log durably, with access for their owner only."""
    for wanted in (directory, directory / WAL, directory / UNFINISHED):
        if not wanted.is_dir():
            # Create each one separately: directories created by `parents` would be readable for others.
            for missing in reversed([one for one in (wanted, *wanted.parents) if not one.exists()]):
                missing.mkdir(mode=0o700, exist_ok=True)
            sync_directory(wanted.parent)


def locked(directory: Path) -> int:
    """Lock the log for this process. Return the descriptor that holds the lock. Raises Unavailable `ledger.locked`."""
    fd = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
        os.close(fd)
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        # A process that has just taken the lock may not have written its pid yet.
        number = f", number {shown(owner)}" if owner else ""
        raise LEDGER_LOCKED(f"the log in {shown(directory)} is open in another process{number}") from None
    # The pid only serves that message, so a full disk does not matter.
    with suppress(OSError):
        os.pwrite(fd, f"{os.getpid():<15}\n".encode(), 0)
    return fd


def takes_writes(directory: Path) -> bool:
    """Whether the disk accepts writes: a failing disk becomes read-only, and often reports EIO before that.

    For a log that has failed: rewrites the pid in its lock file. A full disk counts as accepting writes.
    """
    try:
        fd = os.open(directory / LOCK, os.O_RDWR | os.O_CLOEXEC)
        try:
            write_all(fd, os.pread(fd, 32, 0) or b"\n", 0)
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        return error.errno in NO_ROOM
    return True


def sync_directory(directory: Path) -> None:
    """Make creations and renames in a directory durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, content: bytes, offset: int) -> None:
    """Write every byte, in as many calls as needed."""
    written = os.pwrite(fd, content, offset)
    while written < len(content):
        more = os.pwrite(fd, memoryview(content)[written:], offset + written)
        if more == 0:
            raise OSError(errno.EIO, "a write made no progress")
        written += more


def replace_files(directory: Path, contents: dict[str, bytes]) -> None:
    """Replace files, each atomically, with one directory sync at the end."""
    for name, content in contents.items():
        draft = directory / f"{name}.new"
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            write_all(fd, content, 0)
            os.fsync(fd)
        finally:
            os.close(fd)
        draft.replace(directory / name)
    sync_directory(directory)


def zero_filled(path: Path, size: int) -> None:
    """Create a file of zeros with all blocks written, so that later syncs change no file-system metadata.

    Checks the free space first, including that for the segment's tiles, which are never larger than the segment:
    filling the disk completely would harm other programs, and unsealed entries could not be proved. Leaves nothing
    behind on failure.
    """
    space = os.statvfs(path.parent)
    if space.f_bavail * space.f_frsize < 2 * size + min(size, _SPARE_SPACE_BYTES):
        raise OSError(errno.ENOSPC, "not enough room for a ledger segment")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        for offset in range(0, size, len(_ZEROS)):
            write_all(fd, _ZEROS[: size - offset], offset)
        os.fsync(fd)
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise
    finally:
        os.close(fd)
    sync_directory(path.parent)


def is_zero_filled(path: Path, size: int, *, skipping: int) -> bool:
    """Whether the file has this size and contains only zeros after its first `skipping` bytes."""
    if path.stat().st_size != size:
        return False
    with open_plain(path) as opened:
        opened.seek(skipping)
        while chunk := opened.read(len(_ZEROS)):
            if chunk != _ZEROS[: len(chunk)]:
                return False
    return True


def read_from_disk(path: Path) -> bytes:
    """Read a file after a sync and after dropping its page cache; of the zeros at its end, only the first ones.

    After a failed sync, Linux keeps pages that never reached the disk and marks them clean; those must not be trusted.
    On a read-only disk, such as media with evidence, there is nothing to sync.
    """
    is_writable = True
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        is_writable = False
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if is_writable:
            os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        pieces: list[bytes] = []
        offset = used = 0
        while piece := os.pread(fd, len(_ZEROS), offset):
            offset += len(piece)
            zeros = _ZEROS[: len(piece)]
            # One and the same object for all zeros: a new segment is megabytes of them.
            pieces.append(zeros if piece == zeros else piece)
            used = used if piece == zeros else len(pieces)
        return b"".join(pieces[: used + 1])
    finally:
        os.close(fd)


def cut(path: Path, size: int) -> None:
    """Shorten a file durably."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.ftruncate(fd, size)
        os.fsync(fd)
    finally:
        os.close(fd)

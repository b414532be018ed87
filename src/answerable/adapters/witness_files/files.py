"""Write files so that they survive a power cut. Functions raise OSError; their callers translate it into
`Unavailable`."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from answerable.plain_file import read_plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODE = 0o600
DIRECTORY_MODE = 0o700


def write_new(path: Path, content: bytes, mode: int = MODE) -> None:
    """Write a file from its start, durably, in place of any earlier content."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        written = 0
        while written < len(content):
            more = os.write(fd, content[written:])
            if more == 0:
                raise OSError(errno.EIO, "a write made no progress")
            written += more
        os.fsync(fd)
    finally:
        os.close(fd)


def draft_of(path: Path) -> Path:
    """Return the path where a file's next content is written before it is renamed into place."""
    return path.with_name(f"{path.name}.new")


def replace(path: Path, content: bytes, mode: int = MODE) -> None:
    """Replace a file's content as a whole: a reader, and a restart, finds the old content or the new one."""
    write_new(draft_of(path), content, mode)
    take_place(path)


def take_place(path: Path) -> None:
    """Rename the draft of a file into place, durably."""
    os.replace(draft_of(path), path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make creations and renames in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_directory(path: Path) -> None:
    """Create a directory with access for its owner only, durably."""
    if not path.is_dir():
        path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        sync_directory(path.parent)


def read_at_most(path: Path, size: int) -> bytes | None:
    """Return the content; None if there is no such file. Raises OSError (EFBIG) if it is longer than `size`."""
    try:
        content = read_plain(path, size + 1, follow=False)
    except FileNotFoundError:
        return None
    if len(content) > size:
        raise OSError(errno.EFBIG, f"more than {size} bytes")
    return content


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock that other processes wait for."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)

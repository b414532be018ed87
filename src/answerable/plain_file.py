"""Files that are read where somebody may have put something else: a pipe in place of a file makes nobody wait.

Law: what is read from a path is a plain file, judged by what was opened and not by its name.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO


class NotPlain(OSError):
    """A pipe, a socket or a device stands in the place of a file. filename: which."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.EINVAL, "not a plain file", str(path))


def open_plain(path: Path, *, follow: bool = True) -> BinaryIO:
    """A plain file, to be read. follow: also where a link leads to it.

    Raises OSError as opening does, IsADirectoryError for a directory, NotPlain for what is no file.
    """
    # Not blocking: opening a pipe that nobody writes to waits for whoever will. For a plain file it means nothing.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise NotPlain(path) from None
        raise
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise NotPlain(path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_plain(path: Path, bytes_max: int = -1, *, follow: bool = True) -> bytes:
    """Its bytes, at most so many. Raises as `open_plain`."""
    with open_plain(path, follow=follow) as opened:
        return opened.read(bytes_max)

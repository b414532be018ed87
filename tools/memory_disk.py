"""A folder in memory for what a run of the tests writes: they wait for the disk otherwise, and none of them takes the
power away."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
BYTES_MIN = 8 * 1024**3
"""A ledger takes 128 MiB, and each process of a run has a few at a time."""


@contextmanager
def memory_disk() -> Iterator[None]:
    """Has this process and all that it starts make its temporary folders there, until this ends; on the disk where
    there is no such place, too little room in it, or nothing can be run from it."""
    if not MEMORY.is_dir() or _is_unfit(MEMORY):
        yield
        return
    before, found = os.environ.get("TMPDIR"), tempfile.tempdir
    # Short, as the path of a Unix socket may have 107 bytes, and open to servers under other users.
    with tempfile.TemporaryDirectory(prefix="t-", dir=MEMORY, ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o1777)
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = found
            if before is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = before


def _is_unfit(place: Path) -> bool:
    return bool(os.statvfs(place).f_flag & os.ST_NOEXEC) or shutil.disk_usage(place).free < BYTES_MIN

"""Create the file of a register with access for its owner only."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

MODE: Final = 0o600


def prepare_file(path: Path) -> None:
    """Ensure that the file exists, is a plain file, and is private; SQLite gives its companion files the same mode."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "not a plain file")
        if stat.S_IMODE(status.st_mode) & 0o077:
            os.fchmod(descriptor, MODE)
    finally:
        os.close(descriptor)

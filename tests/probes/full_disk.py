"""A real disk of a few megabytes that is really full: a tmpfs, which root alone may mount."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.probes.loud_skips import not_proven

MEBIBYTES = 96
FILLER = "filler"


@contextlib.contextmanager
def small_disk(place: Path, mebibytes: int = MEBIBYTES) -> Iterator[Path]:
    """Mounted at a folder that is made for it, and gone afterwards."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        not_proven("only root mounts a disk: a full disk is NOT PROVEN here", name="mounts")
    place.mkdir()
    line = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=0700", "tmpfs", str(place)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        not_proven(f"a full disk is NOT PROVEN here, mount says: {done.stderr.strip()}", name="mounts")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path) -> None:
    """Not a byte is left."""
    with (disk / FILLER).open("wb", buffering=0) as filler:
        for piece in (1_048_576, 4_096, 1):
            with contextlib.suppress(OSError):
                while filler.write(bytes(piece)) == piece:
                    pass
    assert shutil.disk_usage(disk).free == 0


def make_room(disk: Path) -> None:
    (disk / FILLER).unlink()

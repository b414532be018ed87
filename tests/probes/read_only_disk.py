"""A disk that becomes read-only under a running server: a real one, and one in the server's own calls.

The real one is an ext4 whose journal is ended by hand, as the kernel does at an error of the device: what is open stays
open, and nothing is written any more. It takes root and a loop device.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.probes.loud_skips import not_proven
from tests.worlds.up import SOURCES

FAILING = Path(__file__).parents[1] / "failing_disk"
MEBIBYTES = 160


@contextlib.contextmanager
def real_disk(place: Path) -> Iterator[Path]:
    """Mounted at a folder that is made for it, and gone afterwards."""
    if os.geteuid() != 0 or not (shutil.which("mke2fs") and shutil.which("mount")):
        not_proven(
            "only root mounts an ext4 of its own: a real disk that becomes read-only is NOT PROVEN here"
        )
    image = place.with_suffix(".ext4")
    with image.open("wb") as file:
        file.truncate(MEBIBYTES * 1_048_576)
    place.mkdir()
    subprocess.run(["mke2fs", "-q", "-t", "ext4", str(image)], check=True)
    line = ["mount", "-o", "loop,errors=remount-ro", str(image), str(place)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        not_proven(
            f"no loop device: a real disk that becomes read-only is NOT PROVEN here ({done.stderr.strip()})"
        )
    try:
        place.chmod(0o700)
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fail(disk: Path) -> None:
    """As at an error of the device."""
    subprocess.run(["mount", "-o", "remount,abort", str(disk)], check=True, capture_output=True)


class FailingDisk:
    """The same in the calls of one server and of its children. place: a file that is there while it fails."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self.environment = {
            "PYTHONPATH": f"{FAILING}:{SOURCES}",
            "FAILING_DISK": str(place),
        }

    def fail(self) -> None:
        self._place.touch()

    def mend(self) -> None:
        self._place.unlink()

"""The wall clock of one server and its children, as Python reads it, and of nobody else."""

from __future__ import annotations

import mmap
from pathlib import Path

from tests.worlds.up import SOURCES

TURNED = Path(__file__).parent / "turned_clock"
WIDTH = 12


class Wall:
    """place: the file that says how far it is off, which the server sees at once. Without libfaketime, under which each
    look at any clock takes a lock of all threads and a server is ten times as slow."""

    def __init__(self, place: Path) -> None:
        place.write_bytes(b"0".rjust(WIDTH))
        with place.open("r+b") as file:
            self._shown = mmap.mmap(file.fileno(), 0)
        self.environment = {
            "PYTHONPATH": f"{TURNED}:{SOURCES}",
            "SEAMS_CLOCK": str(place),
        }

    def set(self, seconds: int) -> None:
        """To so many seconds from what it really is."""
        self._shown[:] = b"%*d" % (WIDTH, seconds)

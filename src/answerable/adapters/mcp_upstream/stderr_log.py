"""Store the standard error output of an upstream process, bounded, and never print it to our terminal."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

LINES_KEPT: Final = 100
LINE_BYTES_MAX: Final = 500


class StderrLog:
    """The last lines in memory, and all output in a file that is rotated at `bytes_max`, with one predecessor.

    A failing disk loses log lines, but never the connection.
    """

    __slots__ = ("_bytes_max", "_tail", "_unfinished", "path")

    def __init__(self, path: Path | None, *, bytes_max: int) -> None:
        self.path = path
        self._bytes_max = bytes_max
        self._tail: deque[str] = deque(maxlen=LINES_KEPT)
        self._unfinished = b""

    def tail(self, count: int = 5) -> tuple[str, ...]:
        """Return the last `count` lines, oldest first."""
        return tuple(self._tail)[-count:]

    def write(self, chunk: bytes) -> None:
        """Add output of the process."""
        *lines, rest = (self._unfinished + chunk).split(b"\n")
        self._unfinished = rest[:LINE_BYTES_MAX]
        for line in lines:
            self._tail.append(line[:LINE_BYTES_MAX].decode("utf-8", "replace").rstrip())
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists() and self.path.stat().st_size + len(chunk) > self._bytes_max:
                self.path.replace(self.path.with_name(self.path.name + ".1"))
            with self.path.open("ab") as file:
                file.write(chunk[-self._bytes_max :])
        except OSError:
            return

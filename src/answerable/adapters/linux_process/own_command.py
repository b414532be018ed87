"""Detect whether a process runs our own `answerable agent up`, by its program and its command line.

The kernel attests the program. Command line and environment are in the process's own memory, which it can change later.
This check therefore does not stop a process that may run our program from imitating the command; it only distinguishes
the command from other programs that report measurements.
"""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.adapters.linux_process.proc_files import ProcDirectory

LEADING_ELSEWHERE: Final = (
    "LD_AUDIT",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONPLATLIBDIR",
    "PYTHONUSERBASE",
)
"""Variables that make the same program run other code: their values must equal those of this process."""
_WORDS: Final = (b"agent", b"up")


class OwnCommand:
    """Recognises our command. scripts: files that are our command. environment: of this process."""

    def __init__(self, scripts: Iterable[str], environment: dict[str, str]) -> None:
        self._places = frozenset(place for script in scripts if (place := _place(script)) is not None)
        self._expected = {name: os.fsencode(environment.get(name, "")) for name in LEADING_ELSEWHERE}
        try:
            self._program = _place("/proc/self/exe")
        except OSError:
            self._program = None

    def is_run_by(self, process: ProcDirectory) -> bool:
        """Whether this process, which must share our mount namespace, runs the command. A mismatch of any part gives
        False.

        Raises OSError or ValueError if the process cannot be read.
        """
        if not self._places or self._program is None or process.place("exe") != self._program:
            return False
        words = process.text("cmdline").split(b"\0")
        if len(words) < 4 or not words[1].startswith(b"/") or _place(words[1]) not in self._places:
            return False
        said = words[2 : words.index(b"--")] if b"--" in words else words[2:]
        if _WORDS not in pairwise(said):
            return False
        found = dict.fromkeys(self._expected, b"")
        for line in process.text("environ").split(b"\0"):
            name, _, value = line.partition(b"=")
            if name.decode("utf-8", "surrogateescape") in found:
                found[name.decode("utf-8", "surrogateescape")] = value
        return found == self._expected


def _place(path: str | bytes) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino

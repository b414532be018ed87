"""Whether a process runs our own `answerable agent up`: the program that we run, and by its command line our command.

Which program it is says the kernel. The command line and the environment are those that the process was started with,
in its own memory, where it can change them later: nobody is kept out by this who wants to pass for the command and may
run our program. It tells the command from every other program that says it measured something.
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
"""Variables that make the same program run other code: they must be what they are here."""
_WORDS: Final = (b"agent", b"up")


class OwnCommand:
    """scripts: files that are our command. environment: ours."""

    def __init__(self, scripts: Iterable[str], environment: dict[str, str]) -> None:
        self._places = frozenset(place for script in scripts if (place := _place(script)) is not None)
        self._expected = {name: os.fsencode(environment.get(name, "")) for name in LEADING_ELSEWHERE}
        try:
            self._program = _place("/proc/self/exe")
        except OSError:
            self._program = None

    def is_run_by(self, process: ProcDirectory) -> bool:
        """Whether this process, which sees the same files as we do, runs it. What cannot be read says no.

        Raises OSError and ValueError where it cannot be read.
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

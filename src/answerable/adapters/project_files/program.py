"""Compute the SHA-256 of the file that a command would start, the same that the kernel reports once it runs."""

from __future__ import annotations

import os
import shutil
import stat
from hashlib import sha256
from typing import Final

from answerable.errors import shown
from answerable.errors.codes.action import PROGRAM_SCRIPT, PROGRAM_SIZE, PROGRAM_UNREADABLE

PROGRAM_BYTES_MAX: Final = 268_435_456
"""Largest program. The running program's digest has the same limit."""
CHUNK_BYTES: Final = 1_048_576
_SCRIPT: Final = b"#!"


class ProgramFile:
    """A command's file, found as a shell finds it. The digest is cached until the file changes."""

    def __init__(self, command: str) -> None:
        """command: a path, or a name that is searched in PATH."""
        self._command = command
        self._known: tuple[tuple[int, ...], str] | None = None

    def digest(self) -> str:
        """Return `sha256:` and hex.

        Raises Unavailable (`program.unreadable`) if the file does not exist or cannot be read, Malformed
        (`program.script`) for a script, for which the kernel reports the interpreter, and Malformed (`program.size`).
        """
        path = shutil.which(self._command) or self._command
        try:
            with open(path, "rb", opener=_opened) as file:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode):
                    raise PROGRAM_UNREADABLE(f"{shown(path)} is not a regular file")
                seen = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)
                if self._known is not None and self._known[0] == seen:
                    return self._known[1]
                if found.st_size > PROGRAM_BYTES_MAX:
                    raise PROGRAM_SIZE(
                        f"{shown(path)} is too large: expected at most {PROGRAM_BYTES_MAX} bytes"
                    )
                digest = sha256(first := file.read(CHUNK_BYTES))
                if first.startswith(_SCRIPT):
                    raise PROGRAM_SCRIPT(
                        f"{shown(path)} is a script: name its interpreter, because that is what "
                        "the kernel reports"
                    )
                left = PROGRAM_BYTES_MAX
                while left > 0 and (chunk := file.read(CHUNK_BYTES)):
                    digest.update(chunk)
                    left -= len(chunk)
        except OSError as error:
            reason = (error.strerror or "no reason given").lower()
            raise PROGRAM_UNREADABLE(f"cannot read {shown(path)}: {reason}") from None
        text = f"sha256:{digest.hexdigest()}"
        self._known = (seen, text)
        return text


def _opened(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)

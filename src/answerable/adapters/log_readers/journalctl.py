"""Run Debian's journalctl, which prints the entries of a journal, and read what it has printed without waiting.

Laws: its arguments are a fixed list, and no shell reads them; it gets neither our environment nor a descriptor of ours;
it ends when nobody reads it any more, also where this process was killed.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from answerable.core.attribution.followed import JOURNAL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

UNITS_MAX: Final = 16
PIPE_BYTES: Final = 1_048_576
WORDS_BYTES_MAX: Final = 4_096
END_SECONDS_MAX: Final = 5.0
FIELDS: Final = ("MESSAGE", "SYSLOG_IDENTIFIER", "_HOSTNAME", "_PID", "_SYSTEMD_UNIT", "_UID")
"""What a reader wants to know of an entry; whoever logs can add as many others as he likes."""
_UNIT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9@:._\\-]{0,254}")
_CURSOR: Final = re.compile(r"[a-z0-9=;]{1,512}")
_OWN: Final = (Path("/run/log/journal"), Path("/var/log/journal"))
_MACHINE: Final = Path("/etc/machine-id")
_MACHINE_ID: Final = re.compile(r"[0-9a-f]{32}")


class Journal(NamedTuple):
    """A journal. directory: where its files are; None for the one of this machine. units: of these services only, where
    there are any."""

    directory: Path | None = None
    units: tuple[str, ...] = ()

    def arguments(self) -> Iterator[str]:
        """Yield what makes journalctl print its entries."""
        # Without `--merge`, what is followed is of this boot alone, and what was before a restart is missed.
        yield from ("--output=json", f"--output-fields={','.join(FIELDS)}", "--no-pager", "--merge")
        if self.directory is not None:
            yield f"--directory={self.directory}"
        yield from (f"--unit={one}" for one in self.units)
        if self.directory is None:
            yield "--system"
            # Those of other machines may be kept beside it.
            yield from (f"_MACHINE_ID={one}" for one in _machine())

    def opened(self) -> int | None:
        """Return a descriptor of its directory, by which that is known again; None for this machine's. Raises
        FileNotFoundError where no file of a journal is there, and OSError."""
        self._look()
        return None if self.directory is None else os.open(self.directory, os.O_PATH | os.O_DIRECTORY)

    def is_same(self, descriptor: int | None) -> bool:
        """Whether its directory is still this one. Raises FileNotFoundError as `opened`."""
        self._look()
        if self.directory is None or descriptor is None:
            return True
        return os.path.samestat(os.fstat(descriptor), self.directory.stat())

    def _look(self) -> None:
        places = _OWN if self.directory is None else (self.directory,)
        if not any(_has_files(one) for one in places):
            raise FileNotFoundError


def journal_of(path: str, units: tuple[str, ...] = ()) -> Journal:
    """Return the journal that settings name. Raises ValueError with what is at fault."""
    directory = path.removeprefix(JOURNAL)
    if directory and (not directory.startswith("/") or "\0" in directory):
        raise ValueError("expected `journal:`, or `journal:/DIRECTORY` with its whole path")
    if len(units) > UNITS_MAX or not all(_UNIT.fullmatch(one) for one in units):
        raise ValueError(
            f"unit= is the name of a unit such as ssh.service, without `*`, at most {UNITS_MAX} times"
        )
    return Journal(Path(directory) if directory else None, units)


def is_cursor(value: object) -> bool:
    """Whether this is a cursor that journalctl printed."""
    return isinstance(value, str) and bool(_CURSOR.fullmatch(value))


class Journalctl:
    """One run of it."""

    def __init__(self, *arguments: str) -> None:
        """Start it. Raises FileNotFoundError where it is not installed, and OSError where it cannot be started."""
        program = shutil.which("journalctl")
        if program is None:
            raise FileNotFoundError("journalctl")
        self._process = subprocess.Popen(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"LC_ALL": "C.UTF-8", "PATH": os.defpath},
            cwd="/",
            close_fds=True,
            # Ctrl-C at a terminal is for `answerable up`.
            start_new_session=True,
        )
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
        if self._process.stdout is not None:
            # A larger one lets it print on between two looks.
            with suppress(OSError):
                fcntl.fcntl(self._process.stdout.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._words = b""

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def take(self, bytes_max: int) -> bytes:
        """Return what it has printed since, at most so much."""
        # It would stop where nobody takes its complaints.
        self._words = (self._words + _taken(self._process.stderr, PIPE_BYTES))[-WORDS_BYTES_MAX:]
        return _taken(self._process.stdout, bytes_max)

    def code(self) -> int | None:
        """Return with which code it ended; None while it runs."""
        return self._process.poll()

    def words(self) -> str:
        """Return the end of what it complained of."""
        return self._words.decode("utf-8", "replace").strip()

    def end(self) -> None:
        """End it. Idempotent."""
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS_MAX)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()


def _taken(pipe: IO[bytes] | None, bytes_max: int) -> bytes:
    found, size = list[bytes](), 0
    while pipe is not None and size < bytes_max:
        try:
            octets = os.read(pipe.fileno(), bytes_max - size)
        except BlockingIOError:
            break
        if not octets:
            break
        found.append(octets)
        size += len(octets)
    return b"".join(found)


def _has_files(place: Path) -> bool:
    return any(True for pattern in ("*.journal", "*/*.journal") for _ in place.glob(pattern))


def _machine() -> list[str]:
    try:
        found = _MACHINE.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError):
        return []
    return [found] if _MACHINE_ID.fullmatch(found) else []

"""Write and read the panic press, a file in the data directory. It works without a running server and on a full disk.

Laws: when `press` has returned, the file and its name are on stable storage; anything that exists under the name counts
as a press, and is never followed, waited for or written through; a check costs one system call.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from answerable.core.containment.press import BYTES_MAX, FILE, ID_BYTES, READY, press_in, pressed_text
from answerable.errors import shown
from answerable.errors.codes.containment import PANIC_NO_DATA, PANIC_NOT_WRITTEN

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.core.containment.press import Press
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.ports.entropy import Entropy

MODE: Final = 0o600
GONE_MILLIS: Final = 1_000
"""How long before it is told of, at most, a file is taken to have been made that is gone."""


def press(directory: Path, *, reason: str, entropy: Entropy) -> str:
    """Press now; return how it was done. On a full disk, this press is written over the prepared one, which is renamed
    into place; if that fails, an empty file is created, which is a valid press without the reason.

    Raises Malformed (`hold.reason`), Unavailable: `panic.no_data`, `panic.not_written`.
    """
    if not directory.is_dir():
        raise PANIC_NO_DATA(
            f"there is no data directory {shown(directory)}: name the server's data directory with --data"
        )
    text = pressed_text(entropy.bytes(ID_BYTES), reason)
    place = directory / FILE
    try:
        _put(text, place, draft=directory / f".{FILE}.{entropy.token()}")
    except OSError as first:
        try:
            how = _without_room(directory, text)
        except OSError:
            why = (first.strerror or "unknown error").lower()
            raise PANIC_NOT_WRITTEN(
                f"{shown(place)} cannot be written ({why}): run this as the server's user, or stop the server"
            ) from None
        return how
    return "written"


def keep_ready(directory: Path, entropy: Entropy) -> None:
    """Prepare a press file for a full disk, if there is none, as long as any press. Errors are ignored, because `press`
    has other ways."""
    place = directory / READY
    with contextlib.suppress(OSError):
        if not os.path.lexists(place):
            text = pressed_text(entropy.bytes(ID_BYTES), "").ljust(BYTES_MAX)
            _put(text, place, draft=directory / f".{READY}.{entropy.token()}")


def pressed(directory: Path) -> Press | None:
    """Return the existing press; None only if the system confirms that there is no such file. Never raises OSError."""
    place = directory / FILE
    try:
        found = place.lstat()
    except FileNotFoundError:
        return None
    except OSError as fault:
        # A file whose status cannot be read may exist, so it counts as a press.
        return press_in(b"", by=f"uid:{os.geteuid()}", where=f"unreadable {fault.errno}")
    text = b""
    if stat.S_ISREG(found.st_mode):
        with contextlib.suppress(OSError):
            text = _read(place)
    where = f"{found.st_ino} {found.st_mtime_ns} {stat.S_IFMT(found.st_mode)}"
    here = press_in(text, by=f"uid:{found.st_uid}", where=where, written_ns=found.st_mtime_ns)
    # A name that is added, or a date that is given, is later than what the file holds.
    is_own = stat.S_ISREG(found.st_mode) and found.st_nlink == 1
    return replace(here, is_as_made=is_own and found.st_mtime_ns == found.st_ctime_ns)


def made(directory: Path, *, now: UnixMillis) -> Press:
    """Return the press that the system told of: a file of that name was made or linked, and may be gone again. Never
    raises OSError."""
    try:
        found = (directory / FILE).lstat()
    except OSError:
        gone = press_in(b"", by=f"uid:{os.geteuid()}", where=f"gone {now}")
        return replace(gone, is_told=True, written_at=now - GONE_MILLIS)
    linked = press_in(b"", by=f"uid:{found.st_uid}", where=f"linked {found.st_ino} {found.st_ctime_ns}")
    return replace(linked, is_told=True, written_at=found.st_ctime_ns // 1_000_000)


def _read(place: Path) -> bytes:
    descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(descriptor, BYTES_MAX + 1)
    finally:
        os.close(descriptor)


def _put(text: bytes, place: Path, *, draft: Path) -> None:
    """Write the whole file or nothing."""
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
        try:
            if os.write(descriptor, text) != len(text):
                raise OSError(28, "no space left on device")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(draft, place)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    _sync(place.parent)


def _without_room(directory: Path, text: bytes) -> str:
    """Rename the prepared file, or create an empty one: neither needs a free disk block."""
    place = directory / FILE
    with contextlib.suppress(OSError):
        _write_over(directory / READY, text)
    with contextlib.suppress(OSError):
        os.replace(directory / READY, place)
        _sync(directory)
        return "taken from what was kept ready"
    # An existing file is emptied and gets a new time, so that an old press becomes a new one.
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
    try:
        os.utime(descriptor)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _sync(directory)
    return "written empty"


def _write_over(place: Path, text: bytes) -> None:
    """Write a press over a prepared one, in the blocks that it has. A file system that writes elsewhere has no room for
    that, and the prepared press stays. Raises OSError."""
    descriptor = os.open(place, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        if size >= len(text):
            os.write(descriptor, text.ljust(size))
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

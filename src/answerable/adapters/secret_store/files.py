"""Write small private files: each is replaced as a whole or not at all, and is on stable storage when a call
returns."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from answerable.errors import shown
from answerable.errors.codes.leases import (
    SECRET_ROTATING,
    SECRETS_DAMAGED,
    SECRETS_EXPOSED,
    SECRETS_UNAVAILABLE,
)
from answerable.plain_file import open_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600
DRAFT: Final = ".draft"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def open_directory(directory: Path) -> None:
    """Create the directory if it does not exist. Raises Unavailable (`secrets.unavailable`, `secrets.exposed`)."""
    with faults("the directory of secrets cannot be opened"):
        directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        require_private(os.stat(directory), directory.name)


def read_private(path: Path, bytes_max: int) -> bytes | None:
    """Read a file that only this process's user can read. Return None if it does not exist. Raises Unavailable
    (`secrets.*`)."""
    with faults(f"{shown(path.name)} cannot be read"):
        try:
            opened = open_plain(path, follow=False)
        except FileNotFoundError:
            return None
        with opened:
            require_private(os.fstat(opened.fileno()), path.name)
            content = opened.read(bytes_max + 1)
    if not content or len(content) > bytes_max:
        raise SECRETS_DAMAGED(
            f"{shown(path.name)} is empty, longer than {bytes_max} bytes or not a file: restore "
            "it from a backup"
        )
    return content


def replace_private(path: Path, content: bytes, token: Callable[[], str]) -> None:
    """Write a draft beside the file, then rename it into place. token: names the draft."""
    draft = path.with_name(f".{path.name}.{token()}{DRAFT}")
    with faults(f"{shown(path.name)} cannot be written"):
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            with open(os.open(draft, flags, FILE_MODE), "wb") as opened:
                opened.write(content)
                opened.flush()
                os.fsync(opened.fileno())
            os.replace(draft, path)
        except BaseException:
            with suppress(OSError):
                draft.unlink()
            raise
        sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Flush a directory's entries to stable storage."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(directory: Path, lock: str, *written: str) -> Iterator[None]:
    """Hold a lock among all processes. written: patterns of the files that are written under this lock; their drafts,
    left by a killed process, are deleted."""
    with faults("the directory of secrets cannot be locked"):
        descriptor = os.open(
            directory / lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            for pattern in written:
                for path in directory.glob(f".{pattern}.*{DRAFT}"):
                    path.unlink(missing_ok=True)
            yield
        finally:
            os.close(descriptor)


@contextmanager
def locked_now(path: Path, otherwise: str) -> Iterator[None]:
    """Hold a lock until the block or this process ends. Raises Refused (`secret.rotating`) if another holds it."""
    with faults(f"{shown(path.name)} cannot be opened"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SECRET_ROTATING(otherwise) from None
        yield
    finally:
        os.close(descriptor)


def require_private(status: os.stat_result, name: str) -> None:
    """Check that only the broker's user has access. Raises Unavailable (`secrets.exposed`)."""
    if status.st_mode & _OTHERS or status.st_uid != os.geteuid():
        message = (
            f"{shown(name)} must belong to the broker's user and be closed to all others: "
            "set mode 0700, files 0600"
        )
        raise SECRETS_EXPOSED(message)


@contextmanager
def faults(what: str) -> Iterator[None]:
    """Translate the operating system's errors."""
    try:
        yield
    except OSError as error:
        raise SECRETS_UNAVAILABLE(f"{what}: {(error.strerror or 'unknown fault').lower()}") from None

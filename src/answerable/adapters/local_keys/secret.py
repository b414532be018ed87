"""A random secret as a file of the owner's, made on the first start."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from answerable.errors.codes.identity import KEY_UNREADABLE, KEY_UNWRITABLE
from answerable.plain_file import open_plain

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.ports.entropy import Entropy


def open_or_create_secret(path: Path, *, count: int, entropy: Entropy) -> bytes:
    """The `count` bytes in this file, made now (mode 0600, synced) when there is none; of two who race, one makes it.

    Raises Unavailable: `key.unwritable`, `key.unreadable` for one of another length or that others may read.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            create_secret(path, entropy.bytes(count), draft=path.with_name(f".{path.name}.{entropy.token()}"))
        with open_plain(path) as opened:
            mode = os.fstat(opened.fileno()).st_mode
            secret = opened.read(count + 1)
    except OSError as error:
        raise KEY_UNWRITABLE(
            f"the secret `{path.name}` cannot be made or read: {(error.strerror or 'unknown error').lower()}"
        ) from None
    if len(secret) != count or stat.S_IMODE(mode) & 0o077:
        raise KEY_UNREADABLE(f"the secret `{path.name}` must have {count} bytes and mode 0600")
    return secret


def create_secret(path: Path, secret: bytes, *, draft: Path) -> None:
    """Written whole under another name first, one of its own for each who starts, so that nobody reads half of it."""
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, secret)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        # A link, unlike a rename, does not replace what somebody else made meanwhile.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)

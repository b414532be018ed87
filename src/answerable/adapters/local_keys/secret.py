"""Load a random secret from a file of the owner, and create it on the first start."""

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
    """Return the `count` bytes in this file; create it (mode 0600, synced) if it does not exist. Of racing processes,
    one creates it.

    Raises Unavailable: `key.unwritable`; `key.unreadable` for another length or a file that other users may read.
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
            f"the secret `{path.name}` cannot be created or read: "
            f"{(error.strerror or 'unknown error').lower()}"
        ) from None
    if len(secret) != count or stat.S_IMODE(mode) & 0o077:
        raise KEY_UNREADABLE(f"the secret `{path.name}` must have {count} bytes and mode 0600")
    return secret


def create_secret(path: Path, secret: bytes, *, draft: Path) -> None:
    """Create a secret file. It is first written under a name that each process has for itself, so that nobody reads a
    partial file."""
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, secret)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        # A link, unlike a rename, does not replace a file that another process created meanwhile.
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

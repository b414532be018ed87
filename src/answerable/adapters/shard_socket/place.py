"""Locate the sockets between shards, and check who can open them and who is connected.

Laws: sockets have mode 0600 in a directory of mode 0700, both owned by this process's user; a peer of another account,
as the kernel reports it, is refused, whatever the file's permissions.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
from typing import TYPE_CHECKING, Final

from anyio.abc import SocketAttribute

from answerable.errors import Unavailable, shown
from answerable.errors.codes.ledger import SHARD_DIRECTORY

if TYPE_CHECKING:
    from pathlib import Path

    from anyio.abc import SocketStream

DIRECTORY_MODE: Final = 0o700
SOCKET_MODE: Final = 0o600
PORT: Final = "shard_link"

_UCRED: Final = struct.Struct("3i")


def socket_of(directory: Path, shard: str) -> Path:
    """Return the path of a shard's socket."""
    return directory / f"{shard}.sock"


def made_directory(directory: Path) -> None:
    """Create the directory if it does not exist. Raises Unavailable as `check_directory`."""
    try:
        directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise _unsafe(directory, f"cannot be made: {error.strerror}") from None
    check_directory(directory)


def check_directory(directory: Path) -> None:
    """Raises Unavailable (`shard.directory`) unless the directory exists, and only this process's user owns and can
    open it."""
    try:
        status = os.lstat(directory)
    except OSError as error:
        raise _unsafe(directory, f"cannot be looked at: {error.strerror}") from None
    if not stat.S_ISDIR(status.st_mode):
        raise _unsafe(directory, "is no directory")
    if status.st_uid != os.geteuid():
        raise _unsafe(directory, f"belongs to user {status.st_uid}")
    if stat.S_IMODE(status.st_mode) & ~DIRECTORY_MODE:
        mode = stat.S_IMODE(status.st_mode)
        raise _unsafe(directory, f"has mode {mode:04o}, expected {DIRECTORY_MODE:04o}")


def is_own_account(stream: SocketStream) -> bool:
    """Whether the peer process runs under this process's user, as the kernel recorded it at connect or, for the
    connecting side, at listen. False if the kernel does not report it."""
    if not hasattr(socket, "SO_PEERCRED"):
        return False
    connected = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - an attribute of anyio's, no query of Django's
    _, uid, _ = _UCRED.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return bool(uid == os.geteuid())


def _unsafe(directory: Path, why: str) -> Unavailable:
    return SHARD_DIRECTORY(f"the directory {shown(directory.name)} of the sockets between shards {why}")

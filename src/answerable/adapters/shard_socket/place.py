"""Where the sockets lie, and who may be at the other end.

Laws: sockets are of mode 0600 in a directory of mode 0700, both our own; a peer of another account is not spoken to,
whatever the file says, for the kernel knows who it is.
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
    """The socket of a shard's process."""
    return directory / f"{shard}.sock"


def made_directory(directory: Path) -> None:
    """The directory, made if it is not there. Raises Unavailable as `check_directory`."""
    try:
        directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise _unsafe(directory, f"cannot be made: {error.strerror}") from None
    check_directory(directory)


def check_directory(directory: Path) -> None:
    """Raises Unavailable (`shard.directory`) unless it is there, our own, and nobody else's to look into."""
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
    """Whether the process at the other end runs under our user, as the kernel recorded it when it connected or, seen
    from the one that connected, when it listened. Where the kernel cannot tell, it does not."""
    if not hasattr(socket, "SO_PEERCRED"):
        return False
    connected = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - an attribute of anyio's, no query of Django's
    _, uid, _ = _UCRED.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return bool(uid == os.geteuid())


def _unsafe(directory: Path, why: str) -> Unavailable:
    return SHARD_DIRECTORY(f"the directory {shown(directory.name)} of the sockets between shards {why}")

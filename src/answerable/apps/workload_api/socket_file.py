"""Check that nobody else could replace a Unix socket's file and answer in this server's place."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Final, NoReturn

from answerable.errors import shown
from answerable.errors.codes.workloads import WORKLOAD_API_NOT_UNIX, WORKLOAD_API_SOCKET_PERMISSIONS

SOCKET_MODE: Final = 0o666
"""Everybody may connect, as with SPIRE: the kernel identifies the caller, and the identity decides what it gets."""

_ROOT: Final = 0
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def check_socket(listener: socket.socket, *, mode: int = SOCKET_MODE) -> None:
    """Check the file and folders of a listening socket.

    Raises Unavailable (`workload_api.socket_permissions`) if any user besides this process's and root owns the socket's
    file, may replace it, or may do more with it than `mode` allows; `workload_api.not_unix` for any other kind of
    socket.
    """
    name = listener.getsockname() if listener.family == socket.AF_UNIX else None
    if not isinstance(name, str) or not name.startswith("/"):
        raise WORKLOAD_API_NOT_UNIX()
    path = Path(name)
    try:
        status = os.lstat(path)
        if not stat.S_ISSOCK(status.st_mode):
            _refuse(path, "is no socket")
        if status.st_uid not in (os.geteuid(), _ROOT):
            _refuse(path, f"belongs to user {status.st_uid}")
        if extra := stat.S_IMODE(status.st_mode) & ~mode:
            _refuse(path, f"has the mode bits {extra:04o} beyond {mode:04o}")
        # Check the path that clients take and, if it contains a symbolic link, the path that the link leads to.
        for folder in dict.fromkeys((*path.parents, *path.resolve().parents)):
            _check_folder(folder, holds_socket=folder in (path.parent, path.resolve().parent))
    except OSError as error:
        _refuse(path, f"cannot be looked at: {error.strerror or error}")


def _check_folder(folder: Path, *, holds_socket: bool) -> None:
    status = os.stat(folder)
    if status.st_uid not in (os.geteuid(), _ROOT):
        _refuse(folder, f"belongs to user {status.st_uid}")
    # In folders above the socket's, the sticky bit prevents replacement. In the socket's own folder, others could still
    # put a socket where this server's was.
    replaceable = holds_socket or not status.st_mode & stat.S_ISVTX
    if status.st_mode & _OTHERS_WRITE and replaceable:
        _refuse(folder, "may be written to by others")


def _refuse(path: Path, why: str) -> NoReturn:
    raise WORKLOAD_API_SOCKET_PERMISSIONS(
        f"{shown(path)} {why}: other users could impersonate the Workload API or connect to it"
    )

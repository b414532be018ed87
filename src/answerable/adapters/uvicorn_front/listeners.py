"""Bind the sockets before anything else starts, so that all later parts know their addresses."""

from __future__ import annotations

import errno
import grp
import os
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.errors import Unavailable, shown
from answerable.errors.codes.services import (
    FRONT_ADDRESS,
    FRONT_NOT_A_SOCKET,
    FRONT_SOCKET_GROUP,
    FRONT_SOCKET_IN_USE,
)

if TYPE_CHECKING:
    from pathlib import Path

LOOPBACK: Final = "127.0.0.1"
SOCKET_MODE: Final = 0o600
"""Only this process's own user may connect."""
BACKLOG: Final = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Listeners:
    """Bound, listening sockets. The caller closes them, unless `serve` has taken them over.

    tcp_address: actual host and port, also if port 0 was requested. uds_path: of the Unix socket.
    """

    tcp: socket.socket | None = None
    uds: socket.socket | None = None
    tcp_address: tuple[str, int] | None = None
    uds_path: Path | None = None

    def close(self) -> None:
        """Stop listening and delete the Unix socket. Idempotent."""
        for listener in (self.tcp, self.uds):
            if listener is not None:
                listener.close()
        if self.uds_path is not None:
            with suppress(OSError):
                os.unlink(self.uds_path)


def listen(
    *,
    tcp: tuple[str, int] | None = None,
    uds: Path | None = None,
    uds_mode: int = SOCKET_MODE,
    uds_group: str = "",
    setting: str = "",
) -> Listeners:
    """Bind a TCP port, a Unix socket or both. uds_group: a group whose members may connect, too. setting: name of the
    setting with the port, for the error if the port is taken.

    Raises Unavailable: `front.address` if an address cannot be bound, `front.socket_in_use` if another server answers
    on the Unix socket, `front.not_a_socket` if another kind of file is at its path, `front.socket_group` if the group
    cannot be given access.
    """
    tcp_socket = _listen_tcp(tcp, setting) if tcp is not None else None
    try:
        uds_socket = _listen_unix(uds, uds_mode, uds_group) if uds is not None else None
    except Unavailable:
        if tcp_socket is not None:
            tcp_socket.close()
        raise
    address = tcp_socket.getsockname() if tcp_socket is not None else None
    return Listeners(
        tcp=tcp_socket,
        uds=uds_socket,
        tcp_address=(str(address[0]), int(address[1])) if address is not None else None,
        uds_path=uds,
    )


def _listen_tcp(address: tuple[str, int], setting: str) -> socket.socket:
    host, port = address
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
        # Connections inherit this from their listener: without it, the second part of an answer waits up to 40 ms for
        # an acknowledgement. Event loops set it themselves, but not on sockets that do not state their protocol.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        text = f"cannot listen on {shown(host)} port {port}: {error.strerror}"
        if setting and error.errno in (errno.EADDRINUSE, errno.EACCES):
            text += f"; set `{setting}` in `answerable.toml` to another port"
        raise FRONT_ADDRESS(text) from None


def require_host(host: str) -> None:
    """Check that this machine can listen on an address. Raises Unavailable (`front.address`)."""
    _listen_tcp((host, 0), "").close()


def require_folder(path: Path) -> None:
    """Check that there is a folder for a Unix socket. Raises Unavailable (`front.address`)."""
    if not path.parent.is_dir():
        raise FRONT_ADDRESS(
            f"cannot listen on the socket {shown(path.name)}: there is no folder {shown(str(path.parent), 300)}"
        )


def _listen_unix(path: Path, mode: int, group: str) -> socket.socket:
    require_folder(path)
    number = group_let_in(path.parent, group) if group else None
    _clear_away(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | getattr(socket, "SOCK_CLOEXEC", 0))
    try:
        # Linux creates the file with the mode that the socket has when it is bound, so no other user can connect in
        # between, and the process-wide umask is not changed.
        os.fchmod(listener.fileno(), mode)
        listener.bind(os.fspath(path))
        if stat.S_IMODE(os.lstat(path).st_mode) != mode:
            os.chmod(path, mode)
        if number is not None:
            os.chown(path, -1, number)
            os.chmod(path, mode | stat.S_IRGRP | stat.S_IWGRP)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _not_listening(path, error) from None
    return listener


def _not_listening(path: Path, error: OSError) -> Unavailable:
    text = f"cannot listen on the socket {shown(path.name)}: {(error.strerror or str(error)).lower()}"
    if error.errno == errno.EROFS:
        text += f"; make the disk of {path.parent} writable: until then no server starts, and nothing acts through one"
    elif error.errno in (errno.ENOSPC, errno.EDQUOT):
        text += f"; make room on the disk of {path.parent}"
    return FRONT_ADDRESS(text)


def group_let_in(folder: Path, name: str) -> int:
    """Return the id of a group whose members can reach the folder; one that does not exist yet is not checked. Raises
    Unavailable (`front.socket_group`)."""
    try:
        number = int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise FRONT_SOCKET_GROUP(
            f"there is no group {shown(name)}, which should own the gateway's socket"
        ) from None
    try:
        found = os.stat(folder)
    except FileNotFoundError:
        return number
    through = found.st_mode & stat.S_IXOTH or (found.st_gid == number and found.st_mode & stat.S_IXGRP)
    if not through:
        raise FRONT_SOCKET_GROUP(
            f"group {shown(name)} cannot reach the gateway's socket: its members may not enter the socket's directory: "
            f"chmod o+x {folder}, or set `gateway.socket` to another path"
        )
    return number


def _clear_away(path: Path) -> None:
    """Remove the socket of a server that has ended; leave anything else alone."""
    try:
        status = os.lstat(path)
    except OSError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise FRONT_NOT_A_SOCKET(f"{shown(path.name)} already exists and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        reached = probe.connect_ex(os.fspath(path))
    if reached in (errno.ECONNREFUSED, errno.ENOENT):
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _not_listening(path, error) from None
        return
    raise FRONT_SOCKET_IN_USE(f"another server answers on the socket {shown(path.name)}")

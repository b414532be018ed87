"""Whose a loopback connection is, as the kernel's tables tell it."""

from __future__ import annotations

import os
import socket

import pytest

from answerable.adapters.linux_process import user_of
from tests.probes.loud_skips import not_proven

OTHER = 65_533


def told(host: str, *, uid: int = -1, mapped: bool = False) -> int | None:
    """What is told of a connection of this process, or of a child of another user."""
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=kind) as listener:
        theirs = socket.AF_INET6 if mapped else kind
        address = (f"::ffff:{host}" if mapped else host, *listener.getsockname()[1:])
        if uid < 0:
            with socket.socket(theirs) as client:
                client.connect(address)
                connection, _ = listener.accept()
                with connection:
                    return user_of(connection.getpeername()[:2], connection.getsockname()[:2])
        pid = os.fork()
        if pid == 0:
            try:
                os.setgroups([])
                os.setuid(uid)
                with socket.socket(theirs) as client:
                    client.connect(address)
                    client.recv(1)
            finally:
                os._exit(0)
        connection, _ = listener.accept()
        with connection:
            found = user_of(connection.getpeername()[:2], connection.getsockname()[:2])
        os.waitpid(pid, 0)
        return found


@pytest.mark.requirement("CONSOLE-16")
@pytest.mark.parametrize(("host", "mapped"), [("127.0.0.1", False), ("127.0.0.1", True), ("::1", False)])
def test_a_connection_is_of_the_user_whose_process_opened_it(host: str, mapped: bool) -> None:
    assert told(host, mapped=mapped) == os.getuid()
    if os.geteuid():
        not_proven(
            "only root becomes other users: connections of other users are NOT PROVEN here", name="root"
        )
    assert told(host, uid=OTHER, mapped=mapped) == OTHER


@pytest.mark.requirement("CONSOLE-16")
def test_of_a_client_elsewhere_or_gone_nothing_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        connection, _ = listener.accept()
        ends = connection.getpeername(), connection.getsockname()
        assert user_of(*ends) == os.getuid()
        client.close()
        assert user_of(*ends) is None, "its row is nobody's now"
        connection.close()
    for theirs in (("192.0.2.7", 1), ("unknown", 1), ("::ffff:192.0.2.7", 1), ("127.0.0.1", 1)):
        assert user_of(theirs, ("127.0.0.1", 8768)) is None

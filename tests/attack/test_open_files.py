"""A stranger holds connections without end: the process keeps descriptors for all else that it does."""

from __future__ import annotations

import os
import resource
import socket
from pathlib import Path

import pytest

from answerable.core.ledger.tags import Tag
from tests.worlds.up import SETTINGS, House, house

pytestmark = pytest.mark.anyio
FILES_MAX = 400
"""What this server may have open; more connections than that are tried."""


def held(place: House) -> list[socket.socket]:
    """Connections of strangers; one that is answered stays open, as clients that keep it alive do."""
    name, port = place.tcp.removeprefix("http://").rsplit(":", 1)
    connections = []
    for _ in range(FILES_MAX + 100):
        connection = socket.socket()
        connection.settimeout(5)
        connections.append(connection)
        try:
            connection.connect((name, int(port)))
            connection.sendall(f"GET /oauth/jwks HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n".encode())
            connection.recv(65_536)
        except OSError:
            continue
    return connections


@pytest.mark.requirement("OPENFILES-01", "OPENFILES-02")
async def test_a_stranger_with_more_connections_than_open_files_stops_neither_server_nor_stop(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, SETTINGS) as place:
        await place.start()
        assert place.process is not None
        resource.prlimit(place.process.pid, resource.RLIMIT_NOFILE, (FILES_MAX, FILES_MAX))
        connections = held(place)
        try:
            stopped = place.command("stop", "everything", "--no-wait")
            assert "no server answers" not in stopped, stopped
            # Renewing keys opens files of its own: with none left the whole server ended here.
            place.command("trust", "rotate", "--yes")
            with socket.socket(socket.AF_UNIX) as local:
                local.settimeout(5)
                local.connect(str(place.data / "gateway.sock"))
                local.sendall(b"GET /oauth/jwks HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert local.recv(65_536).startswith(b"HTTP/1.1 200")
        finally:
            for one in connections:
                one.close()
        assert not place.has_ended(), place.said
        assert "Too many open files" not in place.said
        assert "Exceeded concurrency" not in place.said
        place.command("ledger", "seal")
        assert place.entries(Tag.HOLD_PLACED)


@pytest.mark.requirement("OPENFILES-03")
async def test_a_server_takes_as_many_open_files_as_it_may_have_and_says_where_they_are_few(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, SETTINGS) as place:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            # What other tests of this process have open counts, too, until it is collected.
            few = max(256, len(os.listdir("/proc/self/fd")) + 64)
            resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard))
            await place.start()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert place.process is not None
        taken, _ = resource.prlimit(place.process.pid, resource.RLIMIT_NOFILE)
        assert taken > few
        assert ("ulimit -n" in place.said) == (taken < 4096 + 512)

"""Ports for servers that cannot choose one by themselves, or keep theirs when they start again."""

from __future__ import annotations

import fcntl
import secrets
import socket
import tempfile
from pathlib import Path

FIRST, LAST = 15_000, 32_000
"""Below what Linux gives to connections and to whoever asks for any port (`net.ipv4.ip_local_port_range`, from 32,768):
what a probe of that range found free was given away, now and then, before the server had it."""


def free_port() -> int:
    """One that nothing listens on now, and that this function gives to nobody else of this run for a long time."""
    with Path(tempfile.gettempdir(), "next-port").open("a+") as kept:
        fcntl.flock(kept, fcntl.LOCK_EX)
        kept.seek(0)
        port = int(kept.read() or FIRST + secrets.randbelow(LAST - FIRST))
        while not _is_free(port := FIRST + (port + 1 - FIRST) % (LAST - FIRST)):
            continue
        kept.truncate(0)
        kept.write(str(port))
        return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True

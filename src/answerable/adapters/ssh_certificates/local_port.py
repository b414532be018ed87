"""Find the local port of a child process's connection; together with the host's log line it identifies one session."""

from __future__ import annotations

import os
from pathlib import Path

LINES_MAX = 100_000
_ESTABLISHED = "01"


def local_port(pid: int, remote_port: int) -> int:
    """Return the local port of the only TCP connection from `pid` to `remote_port`; 0 if it cannot be determined."""
    try:
        links = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
        found = {
            int(words[1].rpartition(":")[2], 16)
            for table in ("tcp", "tcp6")
            for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:LINES_MAX]
            if (words := line.split())[3] == _ESTABLISHED
            and int(words[2].rpartition(":")[2], 16) == remote_port
            and f"socket:[{words[9]}]" in links
        }
    except (OSError, ValueError, IndexError):
        return 0
    return found.pop() if len(found) == 1 else 0

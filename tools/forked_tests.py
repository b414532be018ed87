"""Processes that run tests handed to them, forked from one that has read pytest and the libraries, and nothing of ours.

Half of what a run of one small test file takes is reading those. The forking process is started by the Python of the
copy (`mutant_copy.py`), so that whatever a test starts runs the copy, too.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

LIBRARIES = (
    "anyio.pytest_plugin",
    "asyncio",
    "cedarpy",
    "cryptography.x509",
    "httpx2",
    "hypothesis.strategies",
    "jinja2",
    "joserfc",
    "jsonschema_rs",
    "mcp.server",
    "msgspec",
    "prometheus_client",
    "starlette.applications",
    "typer",
    "uvicorn",
    "webauthn",
)
DATA_BYTES_MAX = 4 * 1024**3
"""Of each process: a change may make one grow without end."""
REQUEST_BYTES_MAX = 10_000
_TICKS = os.sysconf("SC_CLK_TCK")


class Tests:
    """A process that runs tests. channel: where it asks for files (`in_turn.py`)."""

    def __init__(self, number: int, channel: socket.socket) -> None:
        self.channel = channel
        self._number = number
        self._read = b""

    def lines(self) -> list[dict[str, object]] | None:
        """What it told since; None at its end. Raises TimeoutError."""
        try:
            octets = self.channel.recv(1 << 20)
        except ConnectionResetError:
            octets = b""
        if not octets:
            return None
        *whole, self._read = (self._read + octets).split(b"\n")
        return [json.loads(line) for line in whole]

    def hand(self, file: str | None) -> None:
        """The file that it asks for; None where there is none."""
        with suppress(BrokenPipeError):
            self.channel.sendall(json.dumps(file).encode() + b"\n")

    def cpu_seconds(self) -> float:
        """Of it and of what it started and has seen the end of."""
        try:
            fields = Path(f"/proc/{self._number}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return sum(map(int, fields[11:15])) / _TICKS

    def signal(self, number: int) -> None:
        """Ask it to end, or end it."""
        with suppress(ProcessLookupError):
            os.kill(self._number, number)


class Forking:
    """The process that forks others, one at a time."""

    def __init__(self, root: Path, python: str) -> None:
        self._door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = subprocess.Popen(
            [python, str(root / "tools/forked_tests.py"), str(theirs.fileno())],
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()

    def start(self, options: Sequence[str]) -> Tests:
        """Tests with these options of pytest."""
        ours, theirs = socket.socketpair()
        told = json.dumps(options).encode()
        socket.send_fds(self._door, [told], [theirs.fileno()])
        theirs.close()
        return Tests(int(self._door.recv(REQUEST_BYTES_MAX)), ours)

    def status(self) -> int:
        """Of the tests started last, once they have ended; -1 for what a signal ended. Raises TimeoutError."""
        return int(self._door.recv(REQUEST_BYTES_MAX))

    def patience(self, seconds: float) -> None:
        """How long `status` waits."""
        self._door.settimeout(seconds)

    def close(self) -> None:
        """The process ends."""
        self._door.close()
        self._process.wait()


def main() -> None:
    """Fork for whoever holds the other end, until it is closed."""
    door = socket.socket(fileno=int(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_DATA, (DATA_BYTES_MAX, DATA_BYTES_MAX))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path[:1] = [os.getcwd(), os.path.join(os.getcwd(), "tools")]
    for name in LIBRARIES:
        with suppress(ImportError):
            importlib.import_module(name)
    while True:
        told, numbers, _, _ = socket.recv_fds(door, REQUEST_BYTES_MAX, 1)
        if not told:
            return
        child = os.fork()
        if child == 0:
            door.close()
            _run_tests(json.loads(told), numbers[0])
        os.close(numbers[0])
        door.send(str(child).encode())
        _, status = os.waitpid(child, 0)
        door.send(str(os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1).encode())


def _run_tests(options: Sequence[str], channel: int) -> None:
    status = 1
    try:
        status = int(pytest.main(["-q", "-p", "in_turn", "--in-turn", str(channel), *options]))
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()

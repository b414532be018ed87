"""A real Redis server, in a process and a folder of its own, on loopback, as a user that is not root."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.probes.loud_skips import skip_loudly
from tests.stand_ins.own_server import own_folder, owner, started
from tests.stand_ins.ports import free_port

STARTED_SECONDS_MAX = 20
ADMIN = "answerable"
ADMIN_PASSWORD = "canary-redis-admin-5d1e"
OPERATOR = "operator"
OPERATOR_PASSWORD = "canary-redis-operator-77b0"
SETUP = (
    f"ACL SETUSER {ADMIN} on >{ADMIN_PASSWORD} -@all "
    "+acl|setuser +acl|deluser +acl|getuser +acl|users +acl|save +client|kill"
)
"""As the page of this kind says it; a test holds the page to it."""


@dataclass(kw_only=True)
class RunningRedis:
    """One server with what it keeps. `with_file`: whether it keeps its users in a file."""

    folder: Path
    port: int = field(default_factory=free_port)
    tls_port: int = 0
    with_file: bool = False
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and make its accounts anew where it has forgotten them."""
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        command += ["--save", "", "--appendonly", "no", "--daemonize", "no", "--logfile", "redis.log"]
        command += ["--unixsocket", str(self.folder / "redis.sock"), *self.options]
        if self.with_file:
            (self.folder / "users.acl").touch()
            shutil.chown(self.folder / "users.acl", *owner())
            command += ["--aclfile", str(self.folder / "users.acl")]
        self.process = started(command, self.folder)
        deadline = time.monotonic() + STARTED_SECONDS_MAX
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                self.as_operator("PING")
                break
            assert self.process.poll() is None, (self.folder / "output.txt").read_text()
            time.sleep(0.02)
        self.as_operator(*SETUP.split())

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def as_operator(self, *command: str) -> bytes:
        """One command under an operator's account: its first answer, raw."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            for words in (("AUTH", OPERATOR, OPERATOR_PASSWORD), command):
                answer = spoken(connection, *words)
                if answer.startswith(b"-WRONGPASS"):
                    # It has no operator yet: whoever is without a name is let, and makes one.
                    made = f"ACL SETUSER {OPERATOR} on >{OPERATOR_PASSWORD} ~* &* +@all"
                    assert spoken(connection, *made.split()) == b"+OK\r\n"
                    spoken(connection, "ACL", "SETUSER", "default", "off")
                    spoken(connection, "AUTH", OPERATOR, OPERATOR_PASSWORD)
            return answer


def spoken(connection: socket.socket, *command: str) -> bytes:
    """Send a command; what came back first, raw. Enough for short answers."""
    sent = b"*%d\r\n" % len(command)
    for word in command:
        octets = word.encode()
        sent += b"$%d\r\n%b\r\n" % (len(octets), octets)
    connection.sendall(sent)
    answer = connection.recv(65536)
    if not answer:
        raise ConnectionError("closed")
    return answer


@contextlib.contextmanager
def redis_server(*, with_file: bool = False, options: tuple[str, ...] = ()) -> Iterator[RunningRedis]:
    """Running, until the block ends; skips loudly where it is not installed."""
    if shutil.which("redis-server") is None:
        skip_loudly("redis-server", "apt-get install redis-server", name="redis-server")
    with own_folder() as folder:
        server = RunningRedis(folder=folder, with_file=with_file, options=options)
        server.start()
        try:
            yield server
        finally:
            server.stop()

"""The whole product as people run it: `answerable up` in a process of its own, asked at its doors."""

from __future__ import annotations

import http.client
import json
import os
import platform
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from answerable.core.identity.keys.keys import SEED_BYTES
from answerable.sdk.keyfile import create_key, public_jwk

WAIT_SECONDS_MAX: Final = 300.0
"""It ends a benchmark that hangs, and is no aim."""
LOOK_SECONDS: Final = 0.005
TICKS: Final = os.sysconf("SC_CLK_TCK")
OWNERSHIP: Final = (
    '{owner: ada, backupOwner: bela, approverGroup: ops, auditLevel: standard, reviewDate: "2099-12-31"}'
)
USE_CASE: Final = f"""\
apiVersion: answerable/v1
kind: UseCase
metadata: {{name: bench}}
spec: {{purpose: To be measured, issuers: [ops], ownership: {OWNERSHIP}}}
"""
_PERSON: Final = """\
---
apiVersion: answerable/v1
kind: Principal
metadata: {{name: {name}}}
spec: {{displayName: {name}, groups: [ops], keyFile: {name}.pub.jwk}}
"""
_AGENT: Final = """\
---
apiVersion: answerable/v1
kind: Agent
metadata: {{name: {name}}}
spec:
  useCase: bench
  environment: production
  {how}
  ownership: {ownership}
"""


def agent(name: str, how: str) -> str:
    """A registered agent. how: one more line of its spec, which says what it is known by."""
    return _AGENT.format(name=name, how=how, ownership=OWNERSHIP)


def line(data: Path, *arguments: str) -> list[str]:
    """Our command line, as this interpreter runs it."""
    return [sys.executable, "-m", "answerable.main", "--data", str(data), *arguments]


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket, with next to no cost of its own."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=WAIT_SECONDS_MAX)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass
class Server:
    """`answerable up`, running. begun: when it was started, on the monotonic clock."""

    process: subprocess.Popen[bytes]
    control: Path
    gateway: Path
    begun: float

    def cpu_seconds(self) -> float:
        """Of all its threads until now, without its witness, which is another process."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident_mb(self) -> float:
        """What is resident now."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(one for one in lines if one.startswith("VmRSS:")).split()[1]) / 1024

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One operation of the control API. Raises RuntimeError where it is refused."""
        connection = UnixConnection(self.control)
        try:
            fields = {"content-type": "application/json"} if body is not None else {}
            connection.request(method, path, json.dumps(body) if body is not None else None, fields)
            answer = connection.getresponse()
            found = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{method} {path}: {found}")
        return found

    def entries(self) -> int:
        """How many the ledger of this process has."""
        return int(self.ask("GET", "/v1/status")["entries"])


class House:
    """A data directory with its settings, and people who may give mandates."""

    def __init__(self, root: Path, settings: str = "") -> None:
        self.root, self.data = root, root / "data"
        self.data.mkdir(mode=0o700)
        self.said = root / "said"
        self.keys = {
            name: create_key(root / f"{name}.jwk", seed=os.urandom(SEED_BYTES["ed25519"]))
            for name in ("ada", "bela")
        }
        for name, key in self.keys.items():
            (root / f"{name}.pub.jwk").write_text(public_jwk(key))
        (self.data / "answerable.toml").write_text(settings)

    def command(self, *arguments: str) -> str:
        """What a command of ours prints. Raises RuntimeError where it fails."""
        done = subprocess.run(
            line(self.data, *arguments),
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS_MAX,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        return done.stdout

    def apply(self, documents: str, *options: str) -> None:
        """Register these documents, beside the people and the use case."""
        people = "".join(_PERSON.format(name=name) for name in self.keys)
        (self.root / "registry.yaml").write_text(USE_CASE + people + documents)
        self.command(*options, "apply", "--yes", "-f", str(self.root / "registry.yaml"))

    @contextmanager
    def starting(self, shard: str = "") -> Iterator[Server]:
        """The server, just started, until the block ends."""
        end = f"-{shard}" if shard else ""
        for name in ("control", "gateway"):
            (self.data / f"{name}{end}.sock").unlink(missing_ok=True)
        with self.said.open("ab") as said:
            begun = time.monotonic()
            process = subprocess.Popen(
                line(self.data, "up", *(("--shard", shard) if shard else ())),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                preexec_fn=with_many_files,
            )
        try:
            yield Server(
                process=process,
                control=self.data / f"control{end}.sock",
                gateway=self.data / f"gateway{end}.sock",
                begun=begun,
            )
        finally:
            process.terminate()
            process.wait(WAIT_SECONDS_MAX)

    @contextmanager
    def up(self, shard: str = "") -> Iterator[Server]:
        """The server, once it answers at its control socket, until the block ends."""
        with self.starting(shard) as server:
            until_open(server.control, server.process)
            server.entries()
            yield server


def with_many_files() -> None:
    """Let this process open as many files as it may: a thousand workloads are two thousand of them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def until_open(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until somebody listens there. Raises TimeoutError, and RuntimeError where the process has ended."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(path))
            except OSError:
                time.sleep(LOOK_SECONDS)
                continue
            return
    raise TimeoutError(f"{path.name} did not open")


def free_port() -> int:
    """One that nobody listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def machine() -> str:
    """What the figures were measured on, with the load of the last minute."""
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, load {load:.1f}"
    )

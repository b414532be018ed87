"""How long after `answerable up` the first workload has its SVID: a whole product in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import identity_watchers

from answerable.core.identity.keys import SEED_BYTES
from answerable.sdk.keyfile import create_key, public_jwk

FIRST_SVID_SECONDS_MAX = 60.0
LOOK_SECONDS = 0.005

_OWNERSHIP = (
    '{owner: ada, backupOwner: bela, approverGroup: ops, auditLevel: standard, reviewDate: "2099-12-31"}'
)
_REGISTRY = """
apiVersion: answerable/v1
kind: UseCase
metadata: {{name: bench}}
spec: {{purpose: To be measured, issuers: [ops], ownership: {ownership}}}
---
apiVersion: answerable/v1
kind: Agent
metadata: {{name: bench}}
spec:
  useCase: bench
  environment: production
  attestation: [["unix:uid:{uid}"]]
  ownership: {ownership}
"""
_PERSON = """---
apiVersion: answerable/v1
kind: Principal
metadata: {{name: {name}}}
spec: {{displayName: {name}, groups: [ops], keyFile: {name}.pub.jwk}}
"""


def program(*arguments: str) -> list[str]:
    """Our command line, as this interpreter runs it."""
    return [sys.executable, "-c", "from answerable.main import run; run()", *arguments]


def up_seconds(directory: Path, rounds: int) -> tuple[float, float]:
    """From starting the server to the first SVID, and the same interpreter importing the same modules and no more; the
    best of the rounds. The trust domain and its keys are there from a start before, as after every restart."""
    data = directory / "data"
    up = program("--data", str(data), "up")
    data.mkdir(mode=0o700)
    (data / "answerable.toml").write_text(f"[gateway]\nport = {_free_port()}\n")
    with running(up):
        _until_open(data / "workload.sock")
        _until_open(data / "control.sock")
        apply = program("--data", str(data), "apply", "--yes", "-f", str(_registry(directory)))
        done = subprocess.run(
            apply, capture_output=True, text=True, timeout=FIRST_SVID_SECONDS_MAX, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
    first = min(first_svid_seconds(up, data / "workload.sock") for _ in range(rounds))
    return first, min(_import_seconds() for _ in range(rounds))


def first_svid_seconds(command: Sequence[str], path: Path) -> float:
    """From starting a server until the Workload API on this socket has answered FetchX509SVID to this process.

    The server must know this process as a workload, else this raises TimeoutError. The server is ended.
    """
    path.unlink(missing_ok=True)
    begun = time.monotonic()
    with running(command) as server:
        while server.poll() is None and time.monotonic() - begun < FIRST_SVID_SECONDS_MAX:
            ours, theirs = multiprocessing.Pipe()
            try:
                identity_watchers.watch(theirs, str(path), "FetchX509SVID", 1, 0)
            except Exception:
                # Not there, or not ready, yet.
                time.sleep(LOOK_SECONDS)
                continue
            return float(ours.recv()) - begun
    raise TimeoutError("no SVID came, or the server ended")


@contextmanager
def running(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process for as long as the block."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet) as process:
        try:
            yield process
        finally:
            process.terminate()


def _registry(directory: Path) -> Path:
    written = directory / "registry.yaml"
    text = _REGISTRY.format(ownership=_OWNERSHIP, uid=os.getuid())
    for name in ("ada", "bela"):
        key = create_key(directory / f"{name}.jwk", seed=os.urandom(SEED_BYTES["ed25519"]))
        (directory / f"{name}.pub.jwk").write_text(public_jwk(key))
        text += _PERSON.format(name=name)
    written.write_text(text)
    return written


def _import_seconds() -> float:
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", "import answerable.wiring.assemble"], check=True)
    return time.monotonic() - begun


def _until_open(path: Path) -> None:
    deadline = time.monotonic() + FIRST_SVID_SECONDS_MAX
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(path))
            except OSError:
                time.sleep(LOOK_SECONDS)
                continue
            return
    raise TimeoutError(f"{path.name} did not open")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])

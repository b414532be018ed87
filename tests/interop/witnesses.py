"""Witnesses, by others and our own, each running as a process of its own for as long as a test asks it."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from answerable.core.tlog.note import VerifierKey
from set_up import ROOT
from tests.interop.programs import aics, run, run_aics, sigsum_witness
from tests.stand_ins.ports import free_port

T = TypeVar("T")

START_SECONDS_MAX = 20
STOP_SECONDS_MAX = 10
ANSWER_SECONDS_MAX = 10
ANSWER_BYTES_MAX = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back over HTTP."""

    status: int
    kind: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A running witness. key: its verifier key of type 4. evidence: what it says it kept against a log, if it can."""

    host: str
    port: int
    key: VerifierKey
    evidence: Callable[[], str] | None = None

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def add_checkpoint(self, body: bytes) -> Answer:
        """C2SP tlog-witness, POST add-checkpoint."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=ANSWER_SECONDS_MAX)
        try:
            connection.request("POST", "/add-checkpoint", body)
            answer = connection.getresponse()
            kind = answer.getheader("Content-Type") or ""
            return Answer(status=answer.status, kind=kind, body=answer.read(ANSWER_BYTES_MAX))
        finally:
            connection.close()


@contextmanager
def aics_witness(folder: Path, log: VerifierKey) -> Iterator[Witness]:
    """aics-witness, which keeps evidence of log-signed requests that do not fit."""
    program, config = aics("aics-witness"), ("-c", folder / "witness.json")
    made = run_aics(
        program.name, "init", *config, "--name", "witness.example/aics", "--listen", "127.0.0.1:0"
    )
    assert made.returncode == 0, made.stderr
    added = run_aics(program.name, "add-log", *config, "--origin", log.name, "--vkey", log.formatted())
    assert added.returncode == 0, added.stderr
    output = folder / "served"
    with running([str(program), "serve", "-c", str(folder / "witness.json")], output):
        listening = re.compile(r"listening on http://127\.0\.0\.1:([0-9]+)")
        port = int(until(lambda: listening.search(output.read_text()), output)[1])

        def evidence() -> str:
            return run_aics(program.name, "evidence", *config).stdout

        key = VerifierKey.parse(made.stdout.strip())
        yield Witness(host="127.0.0.1", port=port, key=key, evidence=evidence)


@contextmanager
def sigsum(folder: Path, log: VerifierKey) -> Iterator[Witness]:
    """The witness of the Sigsum project, which names a log after its key."""
    program = sigsum_witness()
    keys = Path(program).with_name("sigsum-key")
    made = run(keys, "generate", "-o", folder / "witness")
    assert made.returncode == 0, made.stderr
    said = run(keys, "from-hex", "-o", folder / "log.pub", given=log.public.hex())
    assert said.returncode == 0, said.stderr
    hashed = run(keys, "to-hash", "-k", folder / "witness.pub").stdout.strip()
    name = ("-n", f"sigsum.org/v1/witness/{hashed}", "-t", "cosignature/v1")
    key = VerifierKey.parse(run(keys, "to-vkey", "-k", folder / "witness.pub", *name).stdout.strip())
    port = free_port()
    command = [program, "-k", str(folder / "witness"), "--log-key", str(folder / "log.pub")]
    # Debian compiles it in a mode in which Go's HTTP router is the old one, which does not know its paths.
    old_router_off = {"GODEBUG": "httpmuxgo121=0"}
    output = folder / "served"
    with running(
        [*command, "--state-file", str(folder / "state"), f"127.0.0.1:{port}"], output, **old_router_off
    ):
        until(lambda: listens(port), output)
        yield Witness(host="127.0.0.1", port=port, key=key)


@contextmanager
def our_witness(folder: Path, log: VerifierKey) -> Iterator[Witness]:
    """`answerable witness serve`, on loopback."""
    port, output = free_port(), folder / "served"
    (folder / "answerable.toml").write_text(f"[local_witness]\nport = {port}\n")
    command = [sys.executable, "-m", "answerable.main", "witness", "serve", "--data", str(folder)]
    with running([*command, "--log", log.formatted()], output, PYTHONPATH=str(ROOT / "src")):
        said = re.compile(r"^key +(\S+)$", re.MULTILINE)
        key = until(lambda: said.search(output.read_text()), output)[1]
        until(lambda: listens(port), output)
        yield Witness(host="127.0.0.1", port=port, key=VerifierKey.parse(key))


WITNESSES: dict[str, Callable[[Path, VerifierKey], AbstractContextManager[Witness]]] = {
    "aics-witness": aics_witness,
    "sigsum-witness": sigsum,
}


@contextmanager
def running(command: list[str], output: Path, **more: str) -> Iterator[None]:
    """The process, ended in order; killed if it does not end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with (
        output.open("wb") as said,
        subprocess.Popen(command, stdout=said, stderr=said, env=kept | more) as process,
    ):
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()


def until(found: Callable[[], T | None], output: Path) -> T:
    """Polls until there is something; otherwise shows what the process said."""
    end = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < end:
        if (value := found()) is not None:
            return value
        time.sleep(0.02)
    raise AssertionError(output.read_text())


def listens(port: int) -> bool | None:
    """True once somebody takes connections there."""
    with socket.socket() as one:
        return True if one.connect_ex(("127.0.0.1", port)) == 0 else None

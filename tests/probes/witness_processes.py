"""Real processes: `answerable up` with its witness, and witnesses that die when they are told to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2

import answerable
from answerable.core.tlog.cosignature import verified_cosignatures
from answerable.core.tlog.note import Note, VerifierKey
from tests.worlds.control import World, made_world
from tests.worlds.witness import Log, size_in

SOURCES = Path(answerable.__file__).parent.parent
ROOT = Path(__file__).parents[2]
TRUE, FORK = Log(), Log(forked_at=4)
SECONDS_MAX = 60
QUICK = "[witnesses]\nround_seconds = 0.2\n[ledger]\nseal_seconds = 1\nsegment_bytes = 4194304\n[gateway]\nport = 0\n"


def environment() -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if name not in ("ANSWERABLE_DATA", "FORCE_COLOR")
    }
    return {**kept, "PYTHONPATH": f"{SOURCES}{os.pathsep}{ROOT}"}


def until(found: Callable[[], Any], what: str) -> Any:
    """Waits for something to become true; the bound is for a hanging test only."""
    give_up = time.monotonic() + SECONDS_MAX
    while time.monotonic() < give_up:
        value = found()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited in vain for {what}")


@contextmanager
def short_world() -> Iterator[World]:
    """A world in a folder whose path leaves room for sockets."""
    with TemporaryDirectory(prefix="witness-") as folder:
        made = made_world(Path(folder))
        made.data.mkdir(mode=0o700)
        (made.data / "answerable.toml").write_text(QUICK)
        yield made


@dataclass
class Told:
    """Everything a witness has said: roots that it cosigned, by size."""

    data: Path
    roots: dict[int, set[bytes]] = field(default_factory=dict)

    def ask(self, log: Log, old: int, size: int) -> int:
        """Status of the answer; 0 when the witness died over it."""
        try:
            with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(self.data / "witness.sock"))) as client:
                answer = client.post(
                    "http://witness/add-checkpoint", content=log.request(old, size), timeout=SECONDS_MAX
                )
        except httpx2.HTTPError:
            return 0
        if answer.status_code == 200:
            note = Note.parse(log.text(size) + b"\n" + answer.content)
            keys = [
                VerifierKey.parse(line) for line in (self.data / "witness/witness.pub").read_text().split()
            ]
            assert verified_cosignatures(note, cosigners=keys)
            self.roots.setdefault(size, set()).add(log.root(size))
        return answer.status_code

    def size(self) -> int:
        with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(self.data / "witness.sock"))) as client:
            answer = client.post(
                "http://witness/add-checkpoint", content=TRUE.request(0, 1), timeout=SECONDS_MAX
            )
        if answer.status_code == 200:
            return 1
        assert answer.status_code == 409
        return int(answer.content)

    def is_one_history(self) -> bool:
        """No two roots of one size, and all of one log or of the other beyond the point where they part."""
        sizes = [size for size in self.roots if size > 4]
        of_true = all(self.roots[size] == {TRUE.root(size)} for size in sizes)
        of_fork = all(self.roots[size] == {FORK.root(size)} for size in sizes)
        return all(len(one) == 1 for one in self.roots.values()) and (of_true or of_fork)


@contextmanager
def witness(data: Path, step: str = "never", peaceful: int = 0) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.system.witness_main",
            str(data),
            TRUE.key.formatted(),
            step,
            str(peaceful),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "serving\n"
        yield process
    finally:
        process.communicate(timeout=SECONDS_MAX)


class Up:
    """`answerable up` as a process. said: lines of its standard error so far."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.errors = (world.root / "errors").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "answerable.main", "up", "--data", str(world.data)],
            stderr=self.errors,
            env=environment(),
        )

    def said(self) -> str:
        return (self.world.root / "errors").read_text()

    def answers(self) -> Up:
        until(
            lambda: "nothing is registered yet" in self.said() or self.process.poll() is not None,
            "the server",
        )
        assert self.process.poll() is None, self.said()
        return self

    def ended(self) -> int:
        return self.process.wait(SECONDS_MAX)

    def witness(self) -> dict[str, Any]:
        (one,) = json.loads(command(self.world, "status", "--json").stdout)["witnesses"]
        assert isinstance(one, dict)
        return one


@contextmanager
def up(world: World) -> Iterator[Up]:
    running = Up(world)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.terminate()
        running.ended()
        running.errors.close()


def command(world: World, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "answerable.main", *arguments, "--data", str(world.data)],
        capture_output=True,
        text=True,
        env=environment(),
        stdin=subprocess.DEVNULL,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def witness_processes(world: World) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            parts = path.read_bytes().split(b"\0")
        except OSError:  # It ended meanwhile.
            continue
        if str(world.data).encode() in parts and b"witness" in parts and b"serve" in parts:
            found.append(int(path.parent.name))
    return found


def cosigned_size(world: World) -> int:
    path = world.data / "ledger/cosigned"
    return size_in(path.read_bytes()) if path.exists() else 0

"""The real `answerable up` on a data directory of its own, and workloads of others that stay attached to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

import answerable
from answerable.adapters.tlog_files import PublishedFiles
from answerable.core.canonical import parse
from answerable.core.ledger.tags import Tag
from tests.interop.workload_clients import running
from tests.probes.loud_skips import not_proven
from tests.probes.small_disk import on_a_small_disk

SOURCES = Path(answerable.__file__).parent.parent
WAIT_SECONDS_MAX = 90
"""More than an SVID of these houses lives. It bounds a test that hangs, and is no claim."""
NOBODY = 65_534
OWNERSHIP = (
    "{owner: ada, backupOwner: bela, approverGroup: leads, auditLevel: full, reviewDate: '2099-01-01'}"
)
PEOPLE = f"""\
apiVersion: answerable/v1
kind: Principal
metadata: {{name: ada}}
spec: {{displayName: Ada, groups: [leads]}}
---
apiVersion: answerable/v1
kind: Principal
metadata: {{name: bela}}
spec: {{displayName: Bela, groups: [leads]}}
---
apiVersion: answerable/v1
kind: UseCase
metadata: {{name: support}}
spec:
  purpose: Answer customers
  ownership: {OWNERSHIP}
"""
AGENT = """\
---
apiVersion: answerable/v1
kind: Agent
metadata: {{name: {name}}}
spec:
  useCase: support
  environment: production
  attestation: {attestation}
  ownership: {ownership}
"""
SETTINGS = """\
[gateway]
port = 0
[walk]
pin_tools_at_first_sight = true
[ledger]
seal_seconds = 1
[identity]
x509_seconds = 60
authority_seconds = 1800
refresh_hint_seconds = 10
"""
IDENTITY_KEYS = "keys/identity"
REGISTERS = ("answerable.db", "answerable.db-wal", "answerable.db-shm")


def environment() -> dict[str, str]:
    """Ours, without what would lead a command to another server."""
    left_out = ("ANSWERABLE_DATA", "FORCE_COLOR", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return kept | {"PYTHONPATH": str(SOURCES)}


def python_for_others() -> str:
    """A Python that every user may run, and that runs us with the packages of this one; skips loudly without."""
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    found = shutil.which(name, path="/usr/local/bin:/usr/bin:/bin")
    if found is None or os.geteuid() != 0 or _fails_for_others(found):
        not_proven("only root becomes another user, with a Python that others may run: NOT PROVEN here")
    return os.path.realpath(found)


def _fails_for_others(python: str) -> bool:
    line = [python, "-c", "import answerable.main, h2"]
    tried = subprocess.run(line, env=for_others(), capture_output=True, user=NOBODY, cwd="/", check=False)
    return tried.returncode != 0


def for_others() -> dict[str, str]:
    """The environment of a Python that is not ours."""
    packages = [place for place in sys.path if place.endswith("site-packages")]
    return environment() | {"PYTHONPATH": os.pathsep.join((str(SOURCES), str(SOURCES.parent), *packages))}


def registry(**attestation: list[list[str]]) -> str:
    """Agents by name, each known by sets of selectors."""
    agents = (
        AGENT.format(name=name, attestation=json.dumps(sets), ownership=OWNERSHIP)
        for name, sets in attestation.items()
    )
    return PEOPLE + "".join(agents)


@dataclass
class House:
    """One data directory and the server on it, as people run it. said: what the server writes. more: of its environment
    alone. user: whose the directory is and under whom all of it runs; ours where None.
    python: that runs it; another user may not run ours."""

    root: Path
    settings: str = SETTINGS
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    more: dict[str, str] = field(default_factory=dict)
    user: int | None = None
    python: str = sys.executable

    def __post_init__(self) -> None:
        self.data = self.root / "house"
        self.data.mkdir(mode=0o700)
        (self.data / "answerable.toml").write_text(on_a_small_disk(self.settings))
        if self.user is not None:
            for place in (self.data, self.data / "answerable.toml"):
                os.chown(place, self.user, self.user)

    @property
    def environment(self) -> dict[str, str]:
        return environment() if self.python == sys.executable else for_others()

    @property
    def as_user(self) -> dict[str, Any]:
        """What `subprocess` is told for whatever runs on it."""
        if self.user is None:
            return {}
        return {"user": self.user, "group": self.user, "extra_groups": []}

    @property
    def api(self) -> Path:
        return self.data / "workload.sock"

    @property
    def said(self) -> str:
        """What the server of the last start has written."""
        return (self.root / f"said-{self.starts}").read_text()

    @property
    def tcp(self) -> str:
        """The address of the gateway that another machine would use."""
        (line,) = [line for line in self.said.splitlines() if line.startswith("gateway ")]
        return line.split()[1].removesuffix("/mcp/<server>")

    def line(self, *arguments: str) -> list[str]:
        return [self.python, "-m", "answerable.main", "--data", str(self.data), *arguments]

    def command(self, *arguments: str, code: int = 0) -> str:
        """Its standard output; standard error, where it is to fail."""
        done = self.finished(*arguments)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stderr if code else done.stdout

    def finished(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command that has ended, however it did."""
        return subprocess.run(
            self.line(*arguments),
            capture_output=True,
            text=True,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            timeout=WAIT_SECONDS_MAX,
            check=False,
            **self.as_user,
        )

    def apply(self, documents: str) -> None:
        (self.root / "registry.yaml").write_text(documents)
        self.command("apply", "-f", str(self.root / "registry.yaml"))

    def authorities(self) -> dict[str, str]:
        """State by id, those that were removed left out."""
        shown = json.loads(self.command("trust", "show", "--json"))["authorities"]
        return {one["id"]: one["state"] for one in shown if one["state"] != "removed"}

    def sequence(self) -> int:
        return int(json.loads(self.command("trust", "show", "--json"))["sequence"])

    def launch(self, *options: str) -> None:
        """Start it, and do not wait."""
        assert self.process is None
        self.starts += 1
        with (self.root / f"said-{self.starts}").open("wb") as said:
            self.process = subprocess.Popen(
                self.line(*options, "up"),
                stdout=said,
                stderr=said,
                env=self.environment | self.more,
                **self.as_user,
            )

    async def start(self, *options: str) -> None:
        """Start it, until it says that it serves."""
        self.launch(*options)
        assert self.process is not None
        await until(lambda: "\nledger " in self.said or self.has_ended(), "the server")
        assert self.process.poll() is None, self.said

    async def serving(self) -> None:
        """Wait for its one upstream server, which takes longer to start than an agent may."""
        transport = httpx2.HTTPTransport(uds=str(self.data / "control.sock"))
        with httpx2.Client(transport=transport, base_url="http://localhost", timeout=30) as control:

            def is_up() -> bool:
                return any(one["state"] == "up" for one in control.get("/v1/servers").json()["items"])

            await until(is_up, "the upstream server")

    def has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    async def refused(self) -> str:
        """What it says where it does not start."""
        self.launch()
        assert self.process is not None
        code = await asyncio.to_thread(self.process.wait, WAIT_SECONDS_MAX)
        self.process = None
        assert code == 1, self.said
        return self.said

    async def stop(self, how: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(how)
        await asyncio.to_thread(self.process.wait, WAIT_SECONDS_MAX)
        self.process = None

    def entries(self, tag: Tag) -> list[dict[str, Any]]:
        """Of the ledger as it was published when the server stopped."""
        log = PublishedFiles(self.data / "ledger")
        note = log.checkpoint()
        assert note is not None
        leaves = map(parse, log.leaves(0, int(note.split(b"\n")[1])))
        return [leaf for leaf in leaves if isinstance(leaf, dict) and leaf["tag"] == tag]


@contextlib.asynccontextmanager
async def house(root: Path, settings: str = SETTINGS) -> AsyncIterator[House]:
    """Nothing of it runs afterwards."""
    made = House(root, settings)
    try:
        yield made
    finally:
        if made.process is not None:
            await made.stop(signal.SIGKILL)


async def until(found: Callable[[], Any], what: str) -> Any:
    """Wait for something to become true."""
    try:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not (value := found()):  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited in vain for {what}") from None
    return value


@dataclass
class Attached:
    """A workload that watches for as long as the test runs. told: all that it said, oldest first. arrived: when it said
    so, Unix seconds."""

    name: str
    pid: int
    tell: Callable[[str], None]
    told: list[dict[str, Any]] = field(default_factory=list)
    arrived: list[float] = field(default_factory=list)

    def hear(self, line: str | bytes) -> None:
        """Take note of what it said just now."""
        self.arrived.append(time.time())
        self.told.append(json.loads(line))

    def at(self, event: str) -> list[float]:
        """When it told of these."""
        return [when for when, one in zip(self.arrived, self.told, strict=True) if one["event"] == event]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [one for one in self.told if one["event"] == event]

    @property
    def svid(self) -> Mapping[str, Any]:
        """The X.509-SVID that it holds, with the bundle that came with it."""
        return self.of("x509")[-1]

    @property
    def serials(self) -> list[str]:
        """Of all its X.509-SVIDs."""
        return [one["serial"] for one in self.of("x509")]

    async def next_svid(self, count: int, **wanted: Any) -> Mapping[str, Any]:
        """The X.509-SVID that it holds once it has had more than `count`, and what is wanted fits."""

        def found() -> bool:
            return len(self.serials) > count and all(self.svid[name] == wanted[name] for name in wanted)

        await until(found, f"a fresh SVID of {self.name} {wanted or ''}")
        return self.svid

    async def asked(self, line: str) -> dict[str, Any]:
        """Its answer to a line."""
        event = line.partition(" ")[0]
        count = len(self.of(event))
        self.tell(line)
        await until(lambda: len(self.of(event)) > count, f"{self.name} on {event}")
        return self.of(event)[-1]

    async def token(self) -> dict[str, Any]:
        """A fresh JWT-SVID that its own library believes."""
        found = await self.asked("token billing")
        assert found["error"] == ""
        assert await self.asked("check") == {"event": "check", "fault": ""}
        return found


@contextlib.asynccontextmanager
async def attached(socket: Path, name: str, *command: str) -> AsyncIterator[Attached]:
    """A client of others' making, watching."""
    async with running(socket, *command, "watch") as workload:
        one = Attached(name=name, pid=workload.pid, tell=workload.tell)

        async def listen() -> None:
            assert workload.process.stdout is not None
            # A line holds certificates, and may be longer than what readline takes.
            rest = b""
            while piece := await workload.process.stdout.read(65_536):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    one.hear(line)

        listening = asyncio.create_task(listen())
        try:
            yield one
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening


def openssl_believes(leaf: str, roots: list[str]) -> bool:
    """By OpenSSL's strict rules, now, as a TLS client and as a server."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in (("leaf", leaf), ("roots", "".join(roots))):
            (Path(folder) / f"{name}.pem").write_text(content)
        line = ["openssl", "verify", "-x509_strict", "-no-CApath", "-no-CAstore", "-CAfile", "roots.pem"]
        done = [
            subprocess.run(
                [*line, "-purpose", purpose, "leaf.pem"], cwd=folder, capture_output=True, check=False
            )
            for purpose in ("sslclient", "sslserver")
        ]
    return not any(one.returncode for one in done)


def unbelieved(workloads: list[Attached]) -> list[tuple[str, str]]:
    """Who refuses whom, each by the bundle that it holds."""
    return [
        (reader.name, shower.name) for reader, shower in _pairs(workloads) if not _believes(reader, shower)
    ]


def _pairs(workloads: list[Attached]) -> Iterator[tuple[Attached, Attached]]:
    return ((reader, shower) for reader in workloads for shower in workloads)


def _believes(reader: Attached, shower: Attached) -> bool:
    return openssl_believes(shower.svid["leaf"], reader.svid["roots"])

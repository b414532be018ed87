"""Run the OpenSSH client with one credential, against one host whose key is pinned, and parse its output.

The client reads no settings of the user or the machine; there is no terminal, forwarding, shared connection or prompt.
The client's own messages are separate from the command's output, so that no command can imitate the client.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio

from answerable.adapters.ssh_certificates.agent_socket import OneKeyAgent
from answerable.adapters.ssh_certificates.local_port import local_port
from answerable.errors import shown
from answerable.errors.codes.leases import TARGET_CLIENT
from answerable.plain_file import open_plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from anyio.abc import ByteReceiveStream, Process

    from answerable.adapters.ssh_certificates.clients import OpenClients
    from answerable.adapters.ssh_certificates.hosts import Host
    from answerable.adapters.ssh_certificates.limits import Limits
    from answerable.core.lease.credential import Credential

FOLDER_PREFIX: Final = "ans_ssh_"
LOG_BYTES_MAX: Final = 262_144
SETTLE_SECONDS: Final = 2.0
_OPTIONS: Final = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "GlobalKnownHostsFile=none",
    "UpdateHostKeys=no",
    "CheckHostIP=no",
    "CanonicalizeHostname=no",
    "PreferredAuthentications=publickey",
    "PubkeyAuthentication=yes",
    "IdentityFile=none",
    "ControlMaster=no",
    "ControlPath=none",
    "ProxyCommand=none",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RequestTTY=no",
    "EscapeChar=none",
    "ConnectionAttempts=1",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
    "LogLevel=DEBUG1",
)
_AUTHENTICATED: Final = re.compile(rb"^Authenticated to .*using \"publickey\"", re.MULTILINE)
_ENDED: Final = re.compile(
    rb"^debug1: client_input_channel_req: channel 0 rtype exit-(status|signal)", re.MULTILINE
)


@dataclass(slots=True, kw_only=True)
class Bounded:
    """The beginning of a stream's content, and the total size."""

    bytes_max: int
    content: bytearray = field(default_factory=bytearray)
    count: int = 0

    async def take(self, stream: ByteReceiveStream) -> None:
        """Read the stream to its end."""
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            async for chunk in stream:
                self.keep(chunk)

    def keep(self, chunk: bytes) -> None:
        """Add a chunk; bytes beyond the limit are counted and dropped."""
        self.count += len(chunk)
        self.content += chunk[: self.bytes_max - len(self.content)]

    @property
    def text(self) -> str:
        """The stored content, as text."""
        return self.content.decode("utf-8", "replace")

    @property
    def is_cut(self) -> bool:
        """Whether content was dropped."""
        return self.count > len(self.content)


@dataclass(slots=True, kw_only=True)
class Run:
    """One run of the client. port: the client's own port, as in the host's log; 0 while not connected. status: the
    command's exit status; None if a signal ended it or the host did not report it."""

    host: Host
    stdout: Bounded
    stderr: Bounded
    log: Bounded
    port: int = 0
    status: int | None = None

    @property
    def is_authenticated(self) -> bool:
        """Whether the host accepted the certificate; after that, the command may have run."""
        return _AUTHENTICATED.search(self.log.content) is not None

    @property
    def has_ended(self) -> bool:
        """Whether the host reported how the command ended."""
        return _ENDED.search(self.log.content) is not None

    def last_words(self) -> str:
        """Return the client's last message, without its debug output."""
        lines = [line for line in self.log.text.splitlines() if line and not line.startswith("debug1:")]
        return lines[-1].strip().rstrip(".") if lines else "it said nothing"


class Runner:
    """Runs clients for one target. program: the client. known_hosts: pinned keys, by the hosts' names."""

    def __init__(
        self, *, program: str, known_hosts: str, socket_folder: str, clients: OpenClients, limits: Limits
    ) -> None:
        self._program = program
        self._known_hosts = known_hosts
        self._folder = socket_folder
        self._clients = clients
        self._limits = limits

    @asynccontextmanager
    async def running(
        self, credential: Credential, host: Host, login: str
    ) -> AsyncIterator[tuple[Process, Run]]:
        """Start a client. When the block ends, a client that has not ended is killed and awaited.

        Raises Unavailable (`target.client`, effect `none`) if there is no client program.
        """
        bounds = self._limits.output_bytes_max
        run = Run(
            host=host,
            stdout=Bounded(bytes_max=bounds),
            stderr=Bounded(bytes_max=bounds),
            log=Bounded(bytes_max=LOG_BYTES_MAX),
        )

        def signs(pid: int) -> None:
            run.port = local_port(pid, host.port) or run.port

        agent = OneKeyAgent(credential.secret, signs)
        with own_folder(self._folder) as folder:
            listener = await anyio.create_unix_listener(folder / "agent", mode=0o600)
            async with listener, anyio.create_task_group() as tasks:
                tasks.start_soon(listener.serve, agent.serve)
                process = await self._started(folder, host, login)
                agent.expect(process.pid)
                try:
                    with self._clients.kept(credential.lease, process):
                        yield process, run
                finally:
                    status = await _ended(process)
                    run.log.keep(_read(folder / "log"))
                    told = _ENDED.search(run.log.content)
                    run.status = status if told is not None and told[1] == b"status" else None
                    tasks.cancel_scope.cancel()

    async def _started(self, folder: Path, host: Host, login: str) -> Process:
        program = shutil.which(self._program)
        if program is None:
            raise TARGET_CLIENT(
                f"there is no OpenSSH client {shown(self._program)}: install it, or set `ssh_program`"
            )
        # The client gets none of this process's environment: no secrets, and no settings.
        return await anyio.open_process(
            [program, *self._arguments(folder, host, login)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"LC_ALL": "C", "PATH": os.defpath},
            cwd="/",
            start_new_session=True,
        )

    def _arguments(self, folder: Path, host: Host, login: str) -> list[str]:
        named = (
            f"UserKnownHostsFile={self._known_hosts}",
            f"HostKeyAlias={host.name}",
            f"IdentityAgent={folder / 'agent'}",
            f"ConnectTimeout={self._limits.connect_seconds}",
        )
        options = [word for option in (*_OPTIONS, *named) for word in ("-o", option)]
        where = ["-E", str(folder / "log"), "-p", str(host.port), "-l", login, "--", host.address]
        return ["-F", "none", "-T", *options, *where]


async def heard(process: Process, run: Run, said: bytes | None = None) -> None:
    """Read the command's output to its end. said: input to send before closing standard input; None keeps that open."""
    assert process.stdin is not None  # noqa: S101 - all three are pipes
    assert process.stdout is not None  # noqa: S101
    assert process.stderr is not None  # noqa: S101
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run.stdout.take, process.stdout)
        tasks.start_soon(run.stderr.take, process.stderr)
        if said is not None:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                await process.stdin.send(said)
            await process.stdin.aclose()
    await process.wait()


async def _ended(process: Process) -> int:
    """Kill the process if it has not ended, and wait for it, even during a cancellation."""
    with anyio.CancelScope(shield=True):
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        with anyio.move_on_after(SETTLE_SECONDS):
            await process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                await stream.aclose()
    return -1 if process.returncode is None else process.returncode


def _read(path: Path) -> bytes:
    try:
        with open_plain(path) as opened:
            return opened.read(LOG_BYTES_MAX + 1)
    except OSError:
        return b""


@contextmanager
def own_folder(parent: str) -> Iterator[Path]:
    """Create a private folder, removed after the block. Its name contains this process's pid, for `sweep`."""
    path = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}_", dir=parent or None))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def sweep(parent: str) -> None:
    """Remove what clients of ended processes left behind: a socket and a log, never a secret."""
    for path in Path(parent or tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"):
        pid = path.name.removeprefix(FOLDER_PREFIX).partition("_")[0]
        with suppress(OSError):
            is_ours = path.lstat().st_uid == os.geteuid() and path.is_dir() and not path.is_symlink()
            if is_ours and pid.isdecimal() and not Path("/proc", pid).exists():
                shutil.rmtree(path, ignore_errors=True)

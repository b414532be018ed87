"""Leases of SSH, shown on real OpenSSH servers: with a list of revoked certificates, and without."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping

import anyio
import pytest

from answerable.adapters.ssh_certificates import UserAuthority, authority_of
from answerable.adapters.system import SystemClock
from answerable.core.canonical import JSONValue, freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential
from answerable.targets.kind import BuiltTarget
from answerable.testing.contracts.credential_issuer import CredentialIssuerContract, IssuerBench
from tests.probes.waiting import past
from tests.stand_ins.ssh_server import LOGIN, SSHWorld, authority_key, built, script

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SSH-01")]


class SSHBench(IssuerBench):
    def __init__(self, world: SSHWorld, built: BuiltTarget) -> None:
        self.world = world
        self.issuer = built.issuer
        self.program = str(script(world.folder))
        self.scope = freeze(self.grant("long", "{it's \\ $(touch x)"))
        self.mark = world.folder / "mark"
        odd = (
            "; touch {}",
            "'\n' touch {}",
            "\\'; touch {} #",
        )
        self.hostile = tuple(freeze(self.grant("short", one.format(self.mark))) for one in odd)

    def grant(self, *arguments: str) -> dict[str, JSONValue]:
        return {"host": "web1", "login": LOGIN, "command": [self.program, *arguments]}

    def now(self) -> UnixMillis:
        return SystemClock().now()

    async def use(self, credential: Credential) -> bool:
        command = self.world.client(credential)
        _, line = await anyio.to_thread.run_sync(self.world.says, command)
        return line.startswith("ran ")

    def neighbours(self) -> Mapping[str, Callable[[Credential], Awaitable[bool]]]:
        def let(*more: str, **at: object) -> Callable[[Credential], Awaitable[bool]]:
            async def tried(credential: Credential) -> bool:
                command = self.world.client(credential, *more, **at)
                _, line = await anyio.to_thread.run_sync(self.world.says, command)
                return line.startswith("ran ")

            return tried

        async def other_command(credential: Credential) -> bool:
            command = self.world.client(credential, command=("touch", str(self.mark)))
            await anyio.to_thread.run_sync(self.world.says, command)
            return self.mark.exists()

        async def forwarded(credential: Credential) -> bool:
            command = self.world.client(credential, "-W", f"127.0.0.1:{self.world.hosts[1].port}")
            _, line = await anyio.to_thread.run_sync(self.world.says, command)
            return line.startswith("SSH-")

        async def terminal(credential: Credential) -> bool:
            done = await anyio.run_process(
                self.world.client(credential, "-tt", "-v"), check=False, stdin=subprocess.DEVNULL
            )
            return b"PTY allocation request failed" not in done.stderr

        return {
            "another host": let(host=1),
            "another login": let(login="daemon"),
            "another source": let("-b", "127.0.0.2"),
            "another command": other_command,
            "a forwarded port": forwarded,
            "a terminal": terminal,
        }

    async def hold_open(self, credential: Credential) -> Callable[[], Awaitable[bool]] | None:
        if not self.issuer.traits.cuts_sessions:
            return None
        client = subprocess.Popen(  # noqa: ASYNC220 - started, not awaited
            self.world.client(credential),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert client.stdout is not None
        await anyio.to_thread.run_sync(client.stdout.readline)

        async def is_working() -> bool:
            """It says something new: what it said before it ended may still be under way."""
            asked = time.time()
            assert client.stdout is not None
            while line := await anyio.to_thread.run_sync(client.stdout.readline):
                if float(line.removeprefix(b"tick")) > asked:
                    return True
            client.communicate()
            return False

        return is_working

    async def passed(self, credential: Credential) -> None:
        await past(credential.expires_at + 10)


@pytest.fixture(scope="module")
def key() -> bytes:
    return authority_key()


@pytest.fixture(scope="module")
def authority(key: bytes) -> UserAuthority:
    return authority_of(key)


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory, authority: UserAuthority) -> Iterator[SSHWorld]:
    world = SSHWorld(tmp_path_factory.mktemp("ssh"), authority.public_line)
    world.start()
    yield world
    world.stop()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, authority: UserAuthority) -> Iterator[SSHWorld]:
    world = SSHWorld(tmp_path_factory.mktemp("ssh"), authority.public_line, keeps_list=False)
    world.start()
    yield world
    world.stop()


class TestRevocable(CredentialIssuerContract):
    """Hosts keep a list for us."""

    @pytest.fixture
    def bench(self, listing: SSHWorld, key: bytes) -> SSHBench:
        listing.forget_revoked()
        return SSHBench(listing, built(listing, key, revocable=True))


class TestExpiring(CredentialIssuerContract):
    """Hosts only trust the authority."""

    @pytest.fixture
    def bench(self, plain: SSHWorld, key: bytes) -> SSHBench:
        return SSHBench(plain, built(plain, key, revocable=False))

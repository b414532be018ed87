"""An agent on real OpenSSH hosts, through the real server and its broker."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from answerable.adapters.ssh_certificates import authority_of
from tests.stand_ins.ssh_server import LOGIN, SSHWorld, authority_key
from tests.worlds.brokered import Desk, capability, desk_on
from tests.worlds.ssh import is_running, sleeper, until

pytestmark = pytest.mark.anyio

KEY = authority_key()
ECHO = ["/bin/echo", "seven"]
MARK = "brokered-ssh-sleeper"
CAPABILITIES = (
    capability("case.read", "run", "execute", texts=["host"], host="web1", login=LOGIN, command=ECHO),
)
AS_ANOTHER = capability(
    "case.read", "run", "execute", texts=["host"], host="web1", login="games", command=ECHO
)
SLEEPING = capability(
    "case.wait",
    "run",
    "execute",
    texts=["host"],
    window="task",
    host="web1",
    login=LOGIN,
    command=list(sleeper(MARK)),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHWorld]:
    made = SSHWorld(tmp_path_factory.mktemp("ssh"), authority_of(KEY).public_line)
    made.start()
    yield made
    made.stop()


@asynccontextmanager
async def desk_of(root: Path, world: SSHWorld, *capabilities: dict[str, object]) -> AsyncIterator[Desk]:
    target = (
        f'kind = "ssh"\nhosts = {json.dumps(world.settings())}\nknown_hosts = "{world.known_hosts}"\n'
        f'ca_key = "file:ssh-authority"\nsource_addresses = ["127.0.0.1/32"]\n'
        f'revocation_login = "{LOGIN}"\nrevocation_folder = "{world.lists}"\n'
        f'socket_folder = "{world.folder}"\n'
    )
    async with desk_on(
        root, target=target, secrets={"ssh-authority": KEY}, capabilities=capabilities
    ) as desk:
        yield desk


def revoked(world: SSHWorld) -> str:
    """What the host refuses, as it keeps it."""
    assert world.lists is not None
    return (world.lists / "names").read_text()


@pytest.mark.requirement("SSH-09")
async def test_an_agent_runs_its_command_by_a_certificate_that_the_host_refuses_afterwards(tmp_path, world):
    async with desk_of(tmp_path, world, *CAPABILITIES) as desk:
        key = await desk.agent()
        done = await desk.does_call(key, "run", host="web1", command=ECHO)
        assert done["result"]["structuredContent"]["stdout"] == "seven\n", done["text"]
        assert desk.account_of(done) in revoked(world)
        other = await desk.does_call(key, "run", host="web1", command=[*ECHO, "eight"])
        assert "the lease allows" in other["text"], "the command is signed"
        session = await desk.session_of(done)
        accepted = re.compile(
            rf"Accepted publickey for {LOGIN} from 127.0.0.1 port {session['ssh_client_port']} .* "
            rf"ID {desk.account_of(done)} \(serial {session['ssh_serial']}\)"
        )
        assert accepted.search(world.hosts[0].log.read_text())
        secret = KEY.split(b"\n")[3]
        assert secret not in desk.shown("ssh-authority")


@pytest.mark.requirement("SSH-09")
async def test_an_account_that_was_not_meant_is_refused_by_the_host(tmp_path, world):
    async with desk_of(tmp_path, world, AS_ANOTHER) as desk:
        refused = await desk.does_call(await desk.agent(), "run", host="web1", command=ECHO)
        assert refused["result"]["isError"]
        assert "the host refused the certificate" in refused["text"]


@pytest.mark.requirement("SSH-09")
async def test_when_a_task_ends_its_command_ends_on_the_host(tmp_path, world):
    async with desk_of(tmp_path, world, SLEEPING) as desk:
        key = await desk.agent()
        asked = asyncio.create_task(desk.does_call(key, "run", host="web1", command=list(sleeper(MARK))))
        await until(lambda: is_running(MARK), seconds=30)
        (lease,) = await desk.leases()
        await desk.ends_task()
        assert not is_running(MARK)
        assert lease["account"] in revoked(world)
        said = await asyncio.wait_for(asked, 15)
        assert "error" in said or said["result"]["isError"]

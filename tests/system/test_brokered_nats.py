"""An agent on a real NATS server, through the real server and its broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from answerable.adapters.nats_users import NatsServer, SystemAccount, user_of
from answerable.adapters.nats_users.target import TAG_HEADER
from answerable.adapters.nats_users.tokens import signing_key
from answerable.core.lease.name import LeaseName
from tests.stand_ins.nats_server import RunningNats, nats_server
from tests.worlds.brokered import Desk, capability, desk_on, eventually
from tests.worlds.nats_lease import account_claims, settled, user

pytestmark = pytest.mark.anyio

CAPABILITIES = (
    capability(
        "case.note",
        "publish",
        "write",
        texts=["subject", "message"],
        publish=[["case", "7", {"any": "token"}]],
    ),
    capability(
        "case.ask", "request", "execute", texts=["subject", "message"], window="task", request=[["ask", "7"]]
    ),
)
KEPT = ("nats-account", "nats-operator", "nats-system")


@pytest.fixture(scope="module")
def server() -> Iterator[RunningNats]:
    with nats_server() as running:
        yield running


@asynccontextmanager
async def desk_of(root: Path, server: RunningNats) -> AsyncIterator[Desk]:
    target = (
        f'kind = "nats"\naddress = "{server.address}"\naccount = "{server.account.public}"\n'
        'account_key = "file:nats-account"\noperator_key = "file:nats-operator"\n'
        'system_credentials = "file:nats-system"\n'
    )
    contents = (server.account.seed, server.operator.seed, server.broker_credentials())
    secrets = dict(zip(KEPT, contents, strict=True))
    async with desk_on(root, target=target, secrets=secrets, capabilities=CAPABILITIES) as desk:
        yield desk


async def is_refused(server: RunningNats, name: str) -> bool:
    """Whether the server's own token of the account says that the user of this lease is one no more."""
    key = signing_key(server.account.seed, of="A").key_of(LeaseName(name))
    own: Any = (await account_claims(server))["nats"]
    return key.public in own.get("revocations", {})


async def connected(server: RunningNats) -> list[Any]:
    """Users of leases, as the system account of the server sees them."""
    system = SystemAccount(
        NatsServer(address=server.address),
        user_of=lambda: user_of(server.broker_credentials()),
        servers=1,
        seconds_max=2,
    )
    found = await system.connections(server.account.public)
    await system.close()
    return [one["name_tag"] for one in found if str(one.get("name_tag", "")).startswith("ans_")]


@pytest.mark.requirement("NATS-08")
async def test_an_agent_sends_its_message_by_a_user_that_is_refused_with_the_answer(tmp_path, server):
    async with desk_of(tmp_path, server) as desk, user(server) as somebody:
        heard = await somebody.subscribe("case.>")
        await settled(somebody)
        key = await desk.agent()
        done = await desk.does_call(key, "publish", subject="case.7.note", message="seen")
        assert done["result"]["structuredContent"] == {"published": True}, done["text"]
        message = await heard.next_msg(timeout=2)
        assert (message.data, message.headers) == (b"seen", {TAG_HEADER: desk.action_of(done)})
        assert await connected(server) == []
        assert await is_refused(server, desk.lease_of(done))
        refused = await desk.does_call(key, "publish", subject="case.8.note", message="seen")
        assert refused["result"]["isError"]
        assert "permissions violation" in refused["text"].lower(), "by the server itself"
        session = await desk.session_of(done)
        assert session["nats_client"].startswith("server=N")
        assert await is_refused(server, desk.lease_of(done)), "also once the broker is gone"
        seeds = (server.account.seed, server.operator.seed, user_of(desk.kept("nats-system")).key.seed)
        shown = desk.shown(*KEPT)
        assert not [one for one in seeds if one.encode() in shown]


@pytest.mark.requirement("NATS-08")
async def test_when_a_task_ends_its_connection_is_cut_in_the_middle_of_a_question(tmp_path, server):
    async with desk_of(tmp_path, server) as desk, user(server) as somebody:
        # Hears the question, and says nothing.
        await somebody.subscribe("ask.7")
        await settled(somebody)
        key = await desk.agent()
        asked = asyncio.create_task(desk.does_call(key, "request", subject="ask.7", message="?"))
        (account,) = await eventually(lambda: connected(server), "the question")
        (lease,) = await desk.leases()
        assert lease["account"] == account
        await desk.ends_task()
        said = await asyncio.wait_for(asked, 15)
        assert said["result"]["isError"]
        assert await connected(server) == []
        assert await is_refused(server, lease["name"])

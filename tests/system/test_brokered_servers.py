"""An agent on a real RabbitMQ, Redis or NATS, through the real server and its broker."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from answerable.adapters.nats_users import user_of
from answerable.adapters.nats_users.target import TAG_HEADER
from answerable.adapters.nats_users.tokens import signing_key
from answerable.core.canonical import JSONValue
from answerable.core.lease.name import LeaseName
from tests.stand_ins import rabbitmq_server, redis_server
from tests.stand_ins.nats_server import nats_server
from tests.worlds import nats_lease
from tests.worlds.brokered import Desk, capability, desk_on, eventually

pytestmark = pytest.mark.anyio

Call = tuple[str, dict[str, Any]]
Seen = Callable[[Desk, dict[str, Any]], Awaitable[None]]


CASE_7: JSONValue = [{"exchange": "cases", "routing_keys": [{"prefix": "case.7."}]}]


class Behind:
    """A server behind the broker. files: secrets beside the target's file."""

    files: dict[str, str]

    def __init__(self, server: Any) -> None:
        self.server = server

    @property
    def secrets(self) -> list[str]:
        return list(self.files.values())

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[Seen]:
        """For what must have arrived; nothing is left of what was read."""

        async def seen(desk: Desk, done: dict[str, Any]) -> None: ...

        yield seen

    @asynccontextmanager
    async def slowed(self) -> AsyncIterator[None]:
        """While what is slow goes on; some are so by themselves."""
        yield


class RabbitMQ(Behind):
    """One message may be sent, and one taken."""

    served = staticmethod(rabbitmq_server.session_rabbitmq)
    capabilities = (
        capability(
            "case.note", "publish", "write", texts=["exchange", "routing_key", "message"], publish=CASE_7
        ),
        capability(
            "case.take", "get", "delete", texts=["queue", "mode"], window="task", get=[{"queue": "inbox"}]
        ),
    )
    note: ClassVar = {"exchange": "cases", "routing_key": "case.7.note", "message": "seen"}
    granted: Call = ("publish", note)
    result: ClassVar = {"published": True}
    others: tuple[Call, ...] = (
        ("publish", {**note, "routing_key": "case.8.note"}),
        ("publish", {**note, "exchange": "others"}),
    )
    refusal = "access_refused"
    for_a_task: tuple[Call, ...] = (("get", {"queue": "inbox", "mode": "take"}),) * 2

    def __init__(self, server: rabbitmq_server.RunningRabbit) -> None:
        super().__init__(server)
        self.files = {"rabbitmq-password": rabbitmq_server.ADMIN_PASSWORD}
        self.target = (
            f'kind = "rabbitmq"\naddress = "{server.address}"\nmanagement = "{server.management}"\n'
            f'vhost = "{rabbitmq_server.VHOST}"\npassword = "file:rabbitmq-password"\n'
        )

    async def accounts(self) -> list[str]:
        names = [one["name"] for one in self.server.as_operator("GET", "/api/users").json()]
        return [name for name in names if name.startswith("ans_")]

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[Seen]:
        async def seen(desk: Desk, done: dict[str, Any]) -> None:
            how = {"count": 10, "ackmode": "ack_requeue_true", "encoding": "auto"}
            queue = f"/api/queues/{rabbitmq_server.VHOST}/inbox/get"
            (message,) = self.server.as_operator("POST", queue, how).json()
            assert message["payload"] == "seen"
            assert message["properties"]["user_id"] == desk.account_of(done), "which the server checks"
            assert message["properties"]["message_id"] == desk.action_of(done)

        yield seen

    async def knows(self, desk: Desk, done: dict[str, Any], session: dict[str, str]) -> None:
        name = session["rabbitmq_connection"]
        assert name.endswith(f" -> 127.0.0.1:{self.server.port}")
        assert any(name in one.read_text() for one in (self.server.folder / "log").glob("*.log"))


def key(access: str) -> JSONValue:
    return {"prefix": "case:7:", "access": access}


class Redis(Behind):
    """Keys of one case may be read, and written."""

    capabilities = (
        capability("case.read", "read", "read", texts=["command"], keys=[key("read")], commands=["get"]),
        capability(
            "case.write",
            "command",
            "write",
            texts=["command"],
            window="task",
            keys=[key("both")],
            commands=["get", "set"],
        ),
    )
    served = staticmethod(redis_server.redis_server)
    granted: Call = ("read", {"command": "get", "arguments": ["case:7:note"]})
    result: ClassVar = {"reply": "seven", "cut": False}
    others: tuple[Call, ...] = (("read", {"command": "get", "arguments": ["case:8:note"]}),)
    refusal = "no permissions to access a key"
    for_a_task: tuple[Call, ...] = tuple(
        ("command", {"command": "set", "arguments": ["case:7:note", value]}) for value in ("one", "two")
    )

    def __init__(self, server: redis_server.RunningRedis) -> None:
        super().__init__(server)
        self.files = {"redis-password": redis_server.ADMIN_PASSWORD}
        self.target = f'kind = "redis"\naddress = "{server.address}"\npassword = "file:redis-password"\n'
        server.as_operator("SET", "case:7:note", "seven")
        server.as_operator("SET", "case:8:note", "eight")

    async def accounts(self) -> list[str]:
        words = self.server.as_operator("ACL", "USERS").decode().split("\r\n")
        return [word for word in words if word.startswith("ans_")]

    async def knows(self, desk: Desk, done: dict[str, Any], session: dict[str, str]) -> None:
        assert re.fullmatch(r"id=\d+ addr=127\.0\.0\.1:\d+", session["redis_client"])
        log = self.server.as_operator("ACL", "LOG", "1").decode()
        assert "key" in log, "the server itself has refused it"
        assert "ans_" in log


TEXTS = ("subject", "message")


class Nats(Behind):
    """One message may be sent, and one question asked."""

    served = staticmethod(nats_server)
    capabilities = (
        capability("case.note", "publish", "write", texts=TEXTS, publish=[["case", "7", {"any": "token"}]]),
        capability("case.ask", "request", "execute", texts=TEXTS, window="task", request=[["ask", "7"]]),
    )
    granted: Call = ("publish", {"subject": "case.7.note", "message": "seen"})
    result: ClassVar = {"published": True}
    others: tuple[Call, ...] = (("publish", {"subject": "case.8.note", "message": "seen"}),)
    refusal = "permissions violation"
    slow: Call = ("request", {"subject": "ask.7", "message": "?"})

    def __init__(self, server: Any) -> None:
        super().__init__(server)
        self.files = {
            "nats-account": server.account.seed,
            "nats-operator": server.operator.seed,
            "nats-system": server.broker_credentials(),
        }
        self.target = (
            f'kind = "nats"\naddress = "{server.address}"\naccount = "{server.account.public}"\n'
            'account_key = "file:nats-account"\noperator_key = "file:nats-operator"\n'
            'system_credentials = "file:nats-system"\n'
        )

    @property
    def secrets(self) -> list[str]:
        system = user_of(self.files["nats-system"]).key.seed
        return [self.server.account.seed, self.server.operator.seed, system]

    async def accounts(self) -> list[str]:
        """Of those who are connected: the server has no list of users."""
        names = [str(one.get("name_tag", "")) for one in await nats_lease.connections(self.server)]
        return [name for name in names if name.startswith("ans_")]

    busy = accounts

    async def is_refused(self, name: str) -> bool:
        """Whether the server's own token of the account says that the user of this lease is one no more."""
        key = signing_key(self.server.account.seed, of="A").key_of(LeaseName(name))
        own: Any = (await nats_lease.account_claims(self.server))["nats"]
        return key.public in own.get("revocations", {})

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[Seen]:
        async with nats_lease.user(self.server) as somebody:
            heard = await somebody.subscribe("case.>")
            await nats_lease.settled(somebody)

            async def seen(desk: Desk, done: dict[str, Any]) -> None:
                message = await heard.next_msg(timeout=2)
                assert (message.data, message.headers) == (b"seen", {TAG_HEADER: desk.action_of(done)})
                assert await self.is_refused(desk.lease_of(done))

            yield seen

    async def knows(self, desk: Desk, done: dict[str, Any], session: dict[str, str]) -> None:
        assert session["nats_client"].startswith("server=N")
        assert await self.is_refused(desk.lease_of(done)), "also once the broker is gone"

    @asynccontextmanager
    async def slowed(self) -> AsyncIterator[None]:
        """Somebody hears the question, and says nothing."""
        async with nats_lease.user(self.server) as somebody:
            await somebody.subscribe("ask.7")
            await nats_lease.settled(somebody)
            yield

    async def is_undone(self, lease: Any) -> bool:
        return await self.is_refused(lease["name"])


@pytest.fixture(scope="module")
def behind(kind):
    with kind.served() as server:
        yield kind(server)


@asynccontextmanager
async def desk_of(root: Path, behind: Any) -> AsyncIterator[Desk]:
    async with desk_on(
        root, target=behind.target, secrets=behind.files, capabilities=behind.capabilities
    ) as desk:
        yield desk


def of(*kinds: Any) -> Any:
    return pytest.mark.parametrize("kind", kinds, scope="module")


@of(
    pytest.param(RabbitMQ, marks=pytest.mark.requirement("RABBIT-07")),
    pytest.param(Redis, marks=pytest.mark.requirement("REDIS-07")),
    pytest.param(Nats, marks=pytest.mark.requirement("NATS-08")),
)
async def test_an_agent_acts_by_an_account_that_is_gone_with_the_answer(tmp_path, behind):
    async with desk_of(tmp_path, behind) as desk, behind.watched() as seen:
        key = await desk.agent()
        tool, arguments = behind.granted
        done = await desk.does_call(key, tool, **arguments)
        assert done["result"]["structuredContent"] == behind.result, done["text"]
        await seen(desk, done)
        assert await behind.accounts() == []
        for tool, arguments in behind.others:
            refused = await desk.does_call(key, tool, **arguments)
            assert refused["result"]["isError"], arguments
            assert behind.refusal in refused["text"].lower(), "by the server itself"
        await behind.knows(desk, done, await desk.session_of(done))
        shown = desk.shown(*behind.files)
        assert not [one for one in behind.secrets if one.encode() in shown]


@of(
    pytest.param(RabbitMQ, marks=pytest.mark.requirement("RABBIT-07")),
    pytest.param(Redis, marks=pytest.mark.requirement("REDIS-07")),
)
async def test_when_a_task_ends_its_account_is_gone(tmp_path, behind):
    async with desk_of(tmp_path, behind) as desk:
        key = await desk.agent()
        for tool, arguments in behind.for_a_task:
            done = await desk.does_call(key, tool, **arguments)
            assert not done["result"]["isError"], done["text"]
        (lease,) = await desk.leases()
        assert await behind.accounts() == [lease["account"]]
        await desk.ends_task()
        assert await behind.accounts() == []


@of(
    pytest.param(Nats, marks=pytest.mark.requirement("NATS-08")),
)
async def test_when_a_task_ends_its_account_is_gone_and_what_it_was_doing_with_it(tmp_path, behind):
    async with desk_of(tmp_path, behind) as desk, behind.slowed():
        key = await desk.agent()
        tool, arguments = behind.slow
        asked = asyncio.create_task(desk.does_call(key, tool, **arguments))
        busy = await eventually(behind.busy, "the action")
        (lease,) = await desk.leases()
        assert busy == await behind.accounts() == [lease["account"]]
        await desk.ends_task()
        said = await asyncio.wait_for(asked, 15)
        assert said["result"]["isError"]
        assert await behind.busy() == []
        assert await behind.accounts() == []
        assert await behind.is_undone(lease)

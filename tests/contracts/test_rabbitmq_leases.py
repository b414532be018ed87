"""The contract suite of issuers on a real RabbitMQ server, each claim tried with the credential itself."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

import pytest
from aiormq import Connection
from aiormq.abc import AbstractChannel
from pamqp.commands import Basic

from answerable.adapters.rabbitmq_users import Management, RabbitIssuer
from answerable.adapters.rabbitmq_users.server import FAILURES, closed
from answerable.adapters.system import SystemEntropy
from answerable.core.canonical import freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential
from answerable.testing.contracts.credential_issuer import CredentialIssuerContract, IssuerBench
from tests.stand_ins.rabbitmq_server import (
    ADMIN,
    ADMIN_PASSWORD,
    VHOST,
    RunningRabbit,
    own_rabbitmq,
    without_the_librarys_leftovers,
)

pytestmark = [pytest.mark.requirement("RABBIT-01"), pytest.mark.anyio]

Deed = Callable[[AbstractChannel], Awaitable[object]]
HOSTILE = (
    ".*",
    "|.*",
    ")|(.*",
    "\\E.*",
    "{username}",
    "#",
    "*",
    "7\nx",
    "7\x00",
    "",
    "$",
    "[^a]*",
    "7' OR 1",
)


async def logged_in(server: RunningRabbit, credential: Credential, vhost: str = VHOST) -> Connection:
    """A connection of our own under the lease. Raises FAILURES."""
    password = credential.secret.reveal("password")
    connection = Connection(
        f"amqp://{credential.account}:{password}@127.0.0.1:{server.port}/{vhost.replace('/', '%2F')}"
    )
    try:
        await connection.connect()
    except BaseException:
        await closed(connection)
        raise
    return connection


async def let(server: RunningRabbit, credential: Credential, deed: Deed, vhost: str = VHOST) -> bool:
    """Whether the server let it."""
    try:
        connection = await logged_in(server, credential, vhost)
    except FAILURES:
        return False
    try:
        await deed(await connection.channel())
    except FAILURES:
        return False
    finally:
        await closed(connection)
    return True


def publishing(exchange: str, key: str, user: str = "") -> Deed:
    properties = Basic.Properties(user_id=user or None)
    return lambda channel: channel.basic_publish(
        b"x", exchange=exchange, routing_key=key, properties=properties
    )


class RabbitBench(IssuerBench):
    scope = freeze(
        {
            "publish": [
                {"exchange": "cases", "routing_keys": [{"prefix": "case.7."}, {"key": "note.7"}]},
                {"exchange": "log"},
            ],
            "get": [{"queue": "inbox"}],
        }
    )
    hostile = (
        *(
            freeze({"publish": [{"exchange": "cases", "routing_keys": [{"prefix": f"case.{value}."}]}]})
            for value in HOSTILE
        ),
        *(freeze({"publish": [{"exchange": value}]}) for value in (*HOSTILE, "amq.default")),
        *(freeze({"get": [{"queue": value}]}) for value in HOSTILE),
    )

    def __init__(self, server: RunningRabbit) -> None:
        self.server = server
        management = Management(
            server.management, account=ADMIN, password_of=lambda: ADMIN_PASSWORD, tls=None, seconds_max=5
        )
        self.issuer = self.own = RabbitIssuer(management, vhost=VHOST, entropy=SystemEntropy())

    def now(self) -> UnixMillis:
        return UnixMillis(time.time_ns() // 1_000_000)

    async def use(self, credential: Credential) -> bool:
        return await let(self.server, credential, publishing("cases", "case.7.note"))

    def neighbours(self) -> Mapping[str, Callable[[Credential], Awaitable[bool]]]:
        deeds: dict[str, Deed] = {
            "another case": publishing("cases", "case.8.note"),
            "a longer number": publishing("cases", "case.70.note"),
            "a key with more behind it": publishing("cases", "note.7.more"),
            "another exchange": publishing("others", "case.7.note"),
            "the default exchange": publishing("", "others"),
            "the name of somebody else": publishing("log", "x", user="operator"),
            "another queue": lambda channel: channel.basic_get("others"),
            "a new queue": lambda channel: channel.queue_declare("mine"),
            "a new exchange": lambda channel: channel.exchange_declare("mine"),
            "a binding": lambda channel: channel.queue_bind("inbox", "cases", "#"),
            "removing a queue": lambda channel: channel.queue_delete("inbox"),
            "removing an exchange": lambda channel: channel.exchange_delete("cases"),
        }

        def tried(deed: Deed, vhost: str = VHOST) -> Callable[[Credential], Awaitable[bool]]:
            async def one(credential: Credential) -> bool:
                return await let(self.server, credential, deed, vhost)

            return one

        async def managing(credential: Credential) -> bool:
            return self.server.asked_by(
                credential.account, credential.secret.reveal("password"), "/api/users"
            )

        found = {what: tried(deed) for what, deed in deeds.items()}
        return {
            **found,
            "another virtual host": tried(publishing("amq.topic", "x"), "/"),
            "management": managing,
        }

    async def hold_open(self, credential: Credential) -> Callable[[], Awaitable[bool]]:
        connection = await logged_in(self.server, credential)
        channel = await connection.channel()

        async def is_working() -> bool:
            try:
                await publishing("cases", "case.7.note")(channel)
            except FAILURES:
                await closed(connection)
                return False
            return True

        return is_working

    async def stop(self) -> bool:
        self.server.stop()
        return True

    async def start(self) -> None:
        self.server.start()


@pytest.fixture(scope="module")
def server() -> Iterator[RunningRabbit]:
    with own_rabbitmq() as running:
        yield running


@pytest.fixture
async def bench(server: RunningRabbit) -> AsyncIterator[RabbitBench]:
    made = RabbitBench(server)
    with without_the_librarys_leftovers():
        yield made
    for name in await made.own.live():
        await made.own.revoke(name)
    await made.own.close()


class TestRabbitIssuer(CredentialIssuerContract):
    """On one server."""

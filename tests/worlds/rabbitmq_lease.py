"""A RabbitMQ server, as tests of leases and tools on it see it; message_servers.py says what all have."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from aiormq import Connection
from aiormq.abc import AbstractChannel
from pamqp.commands import Basic

from answerable.adapters.rabbitmq_users import (
    Management,
    RabbitIssuer,
    RabbitServer,
    RabbitTarget,
)
from answerable.adapters.rabbitmq_users.server import FAILURES, closed
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.core.canonical import JSONValue, freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential, LeaseOrder, Performed
from answerable.core.lease.name import lease_name
from answerable.targets.addresses import tls_context
from answerable.testing.contracts.credential_issuer import IssuerBench
from tests.stand_ins.rabbitmq_server import (
    ADMIN,
    ADMIN_PASSWORD,
    SETUP,
    VHOST,
    RunningRabbit,
    session_rabbitmq,
    without_the_librarys_leftovers,
)

JSONObject = dict[str, JSONValue]


SCOPE: JSONObject = {
    "publish": [{"exchange": "cases", "routing_keys": [{"prefix": "case.7."}]}, {"exchange": "log"}],
    "get": [{"queue": "inbox"}],
}


TAKE: JSONObject = {"queue": "inbox", "mode": "take"}


def issuer_of(server: RunningRabbit, **changed: Any) -> RabbitIssuer:
    given = {
        "account": ADMIN,
        "password_of": lambda: ADMIN_PASSWORD,
        "tls": None,
        "seconds_max": 5,
        **changed,
    }
    address = given.pop("address", server.management)
    return RabbitIssuer(Management(address, **given), vhost=VHOST, entropy=SystemEntropy())


def at(server: RunningRabbit) -> RabbitServer:
    return RabbitServer(address=server.address, vhost=VHOST)


def target_of(server: RunningRabbit) -> RabbitTarget:
    return RabbitTarget(at(server))


_numbers = iter(range(1, 10_000))


def order(scope: JSONValue = None) -> LeaseOrder:
    """Of a name that no other test has."""
    return LeaseOrder(
        name=lease_name(next(_numbers).to_bytes(16, "big")),
        scope=freeze(scope or SCOPE),
        expires_at=UnixMillis(SystemClock().now() + 60_000),
    )


async def call(
    server: RunningRabbit, credential: Credential, tool: str, arguments: JSONObject, *, bytes_max: int = 4096
) -> Performed:
    async with RabbitTarget(at(server), result_bytes_max=bytes_max).connected(credential) as session:
        return await session.perform(tool, arguments, tag="an-action", seconds_max=10)


async def got_by(
    server: RunningRabbit, credential: Credential, arguments: JSONObject, *, bytes_max: int = 4096
) -> dict[str, Any]:
    found: Any = (await call(server, credential, "get", arguments, bytes_max=bytes_max)).result
    message: dict[str, Any] = found["structuredContent"]["message"]
    return message


def message(text: str, *, exchange: str = "cases", key: str = "case.7.note", **more: JSONValue) -> JSONObject:
    return {"exchange": exchange, "routing_key": key, "message": text, **more}


KIND = "rabbitmq"
DONE: JSONObject = {"published": True}
SETTINGS_MISSING = 3
LESSER = ("", "management", "policymaker", "monitoring")
served = session_rabbitmq
own_server = session_rabbitmq


def granted_call() -> tuple[str, JSONObject]:
    return "publish", message("x")


@asynccontextmanager
async def issuer_on(server: RunningRabbit) -> AsyncIterator[RabbitIssuer]:
    server.as_operator("DELETE", f"/api/queues/{VHOST}/inbox/contents")
    made = issuer_of(server)
    with without_the_librarys_leftovers():
        yield made
    for name in await made.live():
        await made.revoke(name)
    await made.close()


async def sessions_of(server: RunningRabbit, credential: Credential) -> list[tuple[str, str]]:
    shown = server.as_operator("GET", f"/api/connections/username/{credential.account}").json()
    return [("rabbitmq_connection", one["name"]) for one in shown]


def secrets_of(_: RunningRabbit, credential: Credential) -> list[str]:
    return [ADMIN_PASSWORD, credential.secret.reveal("password")]


def failing(server: RunningRabbit, issuer: RabbitIssuer, again: LeaseOrder) -> list[Callable[[], Any]]:
    async def wrong() -> None:
        mistaken = issuer_of(server, password_of=lambda: ADMIN_PASSWORD + "-old")
        try:
            await mistaken.live()
        finally:
            await mistaken.close()

    return [wrong, lambda: issuer.issue(again)]


def shown_by(server: RunningRabbit) -> list[str]:
    shown = [path.read_text(errors="replace") for path in (server.folder / "log").glob("*")]
    return [
        *shown,
        server.as_operator("GET", "/api/definitions").text,
        (server.folder / "output.txt").read_text(),
    ]


def page_has_the_rights(page: str) -> bool:
    ((method, path, body),) = SETUP
    written = json.dumps({**body, "password": "PASSWORD"})
    return f"-X {method} -d '{written}' https://HOST:15671{path}" in page


@asynccontextmanager
async def broker_with_less(server: RunningRabbit, tags: str) -> AsyncIterator[RabbitIssuer]:
    server.as_operator("PUT", "/api/users/lesser", {"password": "lesser", "tags": tags}).raise_for_status()
    weak = issuer_of(server, account="lesser", password_of=lambda: "lesser")
    try:
        yield weak
    finally:
        await weak.close()
        server.as_operator("DELETE", "/api/users/lesser").raise_for_status()


async def whole_life(issuer: RabbitIssuer) -> None:
    """All of it begins with what the weakest account cannot."""
    await issuer.issue(order())


@contextmanager
def tls_server() -> Iterator[RunningRabbit]:
    with session_rabbitmq() as server:
        yield server


def tls_parts(server: RunningRabbit, host: str, signers: str) -> tuple[RabbitIssuer, RabbitTarget]:
    context = tls_context(signers)
    there = RabbitServer(address=f"amqps://{host}:{server.tls_port}", vhost=VHOST, tls=context)
    managing = f"https://{host}:{server.management_tls_port}"
    return issuer_of(server, address=managing, tls=context), RabbitTarget(there)


def settings_of(server: RunningRabbit) -> tuple[dict[str, Any], dict[str, str]]:
    settings = {
        "address": server.address,
        "management": server.management,
        "vhost": VHOST,
        "password": "file:rabbit",
    }
    return settings, {"file:rabbit": ADMIN_PASSWORD}


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
        self.issuer = self.own = issuer_of(server)

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


@asynccontextmanager
async def bench_on(server: RunningRabbit) -> AsyncIterator[RabbitBench]:
    made = RabbitBench(server)
    with without_the_librarys_leftovers():
        yield made
    for name in await made.own.live():
        await made.own.revoke(name)
    await made.own.close()

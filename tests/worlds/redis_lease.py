"""A Redis server, as tests of leases and tools on it see it; message_servers.py says what all have."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from answerable.adapters.redis_acl import RedisIssuer, RedisServer, RedisTarget
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.core.canonical import JSONValue, freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential, LeaseOrder
from answerable.core.lease.name import lease_name
from answerable.targets.addresses import tls_context
from answerable.testing.contracts.credential_issuer import IssuerBench
from tests.stand_ins.own_server import made_certificate
from tests.stand_ins.ports import free_port
from tests.stand_ins.redis_server import (
    ADMIN,
    ADMIN_PASSWORD,
    SETUP,
    RunningRedis,
    redis_server,
    spoken,
)

JSONObject = dict[str, JSONValue]


SCOPE: JSONObject = {
    "keys": [{"prefix": "case:7:", "access": "both"}],
    "commands": ["get", "set", "append", "lrange", "rpush", "hgetall", "hset"],
    "channels": [{"channel": "cases"}],
}


def issuer_of(server: RunningRedis, **changed: Any) -> RedisIssuer:
    return issuer_at(RedisServer(address=server.address), **{"saves": server.with_file, **changed})


def issuer_at(server: RedisServer, **changed: Any) -> RedisIssuer:
    given = {
        "account": ADMIN,
        "password_of": lambda: ADMIN_PASSWORD,
        "entropy": SystemEntropy(),
        "seconds_max": 2,
    }
    return RedisIssuer(server, **{**given, **changed})


_numbers = iter(range(1, 10_000))


def order(number: int = 0, scope: JSONValue = None) -> LeaseOrder:
    """Without a number, of a name that no other test has."""
    return LeaseOrder(
        name=lease_name((number or next(_numbers)).to_bytes(16, "big")),
        scope=freeze(scope or SCOPE),
        expires_at=UnixMillis(SystemClock().now() + 60_000),
    )


async def call(
    server: RunningRedis, credential: Credential, tool: str, arguments, *, bytes_max=4096, seconds=5.0
):
    target = RedisTarget(RedisServer(address=server.address), result_bytes_max=bytes_max)
    async with target.connected(credential) as session:
        return await session.perform(tool, arguments, tag="an-action", seconds_max=seconds)


def target_of(server: RunningRedis) -> RedisTarget:
    return RedisTarget(RedisServer(address=server.address))


def works(server: RunningRedis, credential: Credential) -> bool:
    connection = logged_in(server, credential)
    if connection is not None:
        connection.close()
    return connection is not None


KIND = "redis"
DONE: JSONObject = {"reply": None, "cut": False}
SETTINGS_MISSING = 2
LESSER = tuple(right for right in re.findall(r"\+\S+", SETUP) if right != "+acl|save")


@contextmanager
def own_server() -> Iterator[RunningRedis]:
    with redis_server() as running:
        running.as_operator("SET", "case:7:title", "seven")
        running.as_operator("SET", "case:8:title", "eight")
        yield running


served = own_server


def granted_call() -> tuple[str, JSONObject]:
    return "read", {"command": "get", "arguments": ["case:7:z"]}


@asynccontextmanager
async def issuer_on(server: RunningRedis) -> AsyncIterator[RedisIssuer]:
    made = issuer_of(server)
    yield made
    for name in await made.live():
        await made.revoke(name)
    await made.close()


async def sessions_of(server: RunningRedis, credential: Credential) -> list[tuple[str, str]]:
    clients = server.as_operator("CLIENT", "LIST").decode()
    named = rf"^(?:\$\d+\r\n)?(id=\d+ addr=\S+) .*user={re.escape(credential.account)}\b"
    return [("redis_client", one) for one in re.findall(named, clients, re.M)]


def secrets_of(_: RunningRedis, credential: Credential) -> list[str]:
    return [ADMIN_PASSWORD, credential.secret.reveal("password")]


def failing(server: RunningRedis, issuer: RedisIssuer, again: LeaseOrder) -> list[Callable[[], Any]]:
    return [lambda: issuer.issue(again), lambda: issuer_of(server, account="nobody").live()]


def shown_by(server: RunningRedis) -> list[str]:
    lists = (("ACL", "LIST"), ("ACL", "LOG"), ("SLOWLOG", "GET"), ("CLIENT", "LIST"))
    told = [server.as_operator(*words).decode(errors="replace") for words in lists]
    files = [path.read_text(errors="replace") for path in server.folder.glob("*") if path.is_file()]
    return told + files


def page_has_the_rights(page: str) -> bool:
    listed = re.findall(r"^ACL SETUSER answerable .*$", page, re.M)
    return listed == [SETUP.replace(ADMIN_PASSWORD, "PASSWORD")]


@asynccontextmanager
async def broker_with_less(server: RunningRedis, right: str) -> AsyncIterator[RedisIssuer]:
    server.as_operator(*SETUP.replace(right, "-@all").split())
    issuer = issuer_of(server)
    try:
        yield issuer
    finally:
        server.as_operator("ACL", "SETUSER", ADMIN, "reset")
        server.as_operator(*SETUP.split())
        for name in await issuer.live():
            await issuer.revoke(name)
        await issuer.close()


async def whole_life(issuer: RedisIssuer) -> None:
    credential = await issuer.issue(order())
    await issuer.renew(credential.lease, UnixMillis(0))
    await issuer.live()
    await issuer.revoke(credential.lease)


@contextmanager
def tls_server() -> Iterator[RunningRedis]:
    """The broker's own account is on it, too, and the operator's door stays."""
    with redis_server() as plain:
        made_certificate(plain.folder)
        plain.stop()
        plain.tls_port = free_port()
        plain.options = ("--tls-port", str(plain.tls_port), "--tls-auth-clients", "no", "--tls-cert-file")
        plain.options += (str(plain.folder / "cert.pem"), "--tls-key-file", str(plain.folder / "key.pem"))
        plain.start()
        yield plain


def tls_parts(server: RunningRedis, host: str, signers: str) -> tuple[RedisIssuer, RedisTarget]:
    there = RedisServer(address=f"rediss://{host}:{server.tls_port}", tls=tls_context(signers))
    return issuer_at(there), RedisTarget(there)


def settings_of(server: RunningRedis) -> tuple[dict[str, Any], dict[str, str]]:
    return {"address": server.address, "password": "file:redis"}, {"file:redis": ADMIN_PASSWORD}


@asynccontextmanager
async def unanswered(server: RunningRedis) -> AsyncIterator[tuple[str, JSONObject]]:
    server.as_operator("CLIENT", "PAUSE", "700", "ALL")
    yield "command", {"command": "set", "arguments": ["case:7:late", "x"]}


def logged_in(server: RunningRedis, credential: Credential) -> socket.socket | None:
    """A connection of our own under the lease; None where the server refuses."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=5)
    answer = spoken(connection, "AUTH", credential.account, credential.secret.reveal("password"))
    if answer == b"+OK\r\n":
        return connection
    connection.close()
    return None


def let(server: RunningRedis, credential: Credential, *command: str) -> bool:
    connection = logged_in(server, credential)
    if connection is None:
        return False
    with connection:
        return not spoken(connection, *command).startswith(b"-")


class RedisBench(IssuerBench):
    scope = freeze(
        {
            "keys": [{"prefix": "case:7:", "access": "read"}, {"key": "note:7", "access": "both"}],
            "commands": ["get", "hgetall", "set"],
            "channels": [{"channel": "cases"}],
        }
    )
    hostile = tuple(
        freeze({"keys": [{"prefix": f"case:{value}:", "access": "both"}], "commands": ["get", "set"]})
        for value in (
            "*",
            "?",
            "[^a]",
            "\\*",
            "7 ~*",
            "7 +@all",
            '7" ~* "',
            "7) ~* (",
            "7\r\nACL SETUSER default on nopass ~* +@all",
            "7\x00",
            "%RW~*",
        )
    )

    def __init__(self, server: RunningRedis) -> None:
        self.server = server
        self.issuer = self.own = issuer_of(server)

    def now(self) -> UnixMillis:
        return UnixMillis(time.time_ns() // 1_000_000)

    async def use(self, credential: Credential) -> bool:
        return let(self.server, credential, "GET", "case:7:title")

    def neighbours(self) -> Mapping[str, Callable[[Credential], Awaitable[bool]]]:
        commands = {
            "another case": ("GET", "case:8:title"),
            "a longer number": ("GET", "case:70:title"),
            "another verb": ("DEL", "note:7"),
            "a write where reading is let": ("SET", "case:7:title", "x"),
            "all keys": ("KEYS", "*"),
            "a script": ("EVAL", "return redis.call('get', 'case:8:title')", "0"),
            "another channel": ("PUBLISH", "others", "x"),
            "listening": ("SUBSCRIBE", "cases"),
            "users": ("ACL", "LIST"),
            "settings": ("CONFIG", "GET", "*"),
            "another database": ("SELECT", "1"),
            "everything": ("FLUSHALL",),
            "other clients": ("CLIENT", "LIST"),
        }

        def tried(words: tuple[str, ...]) -> Callable[[Credential], Awaitable[bool]]:
            async def one(credential: Credential) -> bool:
                return let(self.server, credential, *words)

            return one

        return {what: tried(words) for what, words in commands.items()}

    async def hold_open(self, credential: Credential) -> Callable[[], Awaitable[bool]]:
        connection = logged_in(self.server, credential)
        assert connection is not None

        async def is_working() -> bool:
            try:
                return not spoken(connection, "GET", "case:7:title").startswith(b"-")
            except OSError:
                connection.close()
                return False

        return is_working

    async def stop(self) -> bool:
        self.server.stop()
        return True

    async def start(self) -> None:
        self.server.start()


@asynccontextmanager
async def bench_on(server: RunningRedis) -> AsyncIterator[RedisBench]:
    made = RedisBench(server)
    yield made
    with contextlib.suppress(OSError):
        for name in await made.own.live():
            await made.own.revoke(name)
    await made.own.close()

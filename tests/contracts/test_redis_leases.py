"""The contract suite of issuers on a real Redis server, each claim tried with the credential itself."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest

from answerable.adapters.redis_acl import RedisIssuer, RedisServer
from answerable.adapters.system import SystemEntropy
from answerable.core.canonical import freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.testing.contracts.credential_issuer import CredentialIssuerContract, IssuerBench
from tests.stand_ins.redis_server import ADMIN, ADMIN_PASSWORD, RunningRedis, redis_server, spoken

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from answerable.core.lease.credential import Credential

pytestmark = [pytest.mark.requirement("REDIS-01"), pytest.mark.anyio]


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
        self.issuer = RedisIssuer(
            RedisServer(address=server.address),
            account=ADMIN,
            password_of=lambda: ADMIN_PASSWORD,
            entropy=SystemEntropy(),
            saves=server.with_file,
            seconds_max=2,
        )

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


@pytest.fixture(scope="module")
def server() -> Iterator[RunningRedis]:
    with redis_server() as running:
        running.as_operator("SET", "case:7:title", "seven")
        running.as_operator("SET", "case:8:title", "eight")
        yield running


@pytest.fixture
async def bench(server: RunningRedis) -> AsyncIterator[RedisBench]:
    made = RedisBench(server)
    issuer = made.issuer
    assert isinstance(issuer, RedisIssuer)
    yield made
    with contextlib.suppress(OSError):
        for name in await issuer.live():
            await issuer.revoke(name)
    await issuer.close()


class TestRedisIssuer(CredentialIssuerContract):
    """On one server."""

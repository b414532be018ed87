"""What tests of leases and tools on redis share."""

from __future__ import annotations

import socket

from answerable.adapters.redis_acl import RedisIssuer, RedisServer, RedisTarget
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.core.canonical import JSONValue, freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential, LeaseOrder
from answerable.core.lease.name import lease_name
from tests.stand_ins.redis_server import (
    ADMIN,
    ADMIN_PASSWORD,
    RunningRedis,
    spoken,
)

JSONObject = dict[str, JSONValue]


SCOPE: JSONObject = {
    "keys": [{"prefix": "case:7:", "access": "both"}],
    "commands": ["get", "set", "append", "lrange", "rpush", "hgetall", "hset"],
    "channels": [{"channel": "cases"}],
}


def issuer_of(server: RunningRedis, **changed) -> RedisIssuer:
    given = {
        "account": ADMIN,
        "password_of": lambda: ADMIN_PASSWORD,
        "entropy": SystemEntropy(),
        "saves": server.with_file,
        "seconds_max": 2,
    }
    return RedisIssuer(RedisServer(address=server.address), **{**given, **changed})


def order(number: int = 1, scope: JSONValue = None) -> LeaseOrder:
    return LeaseOrder(
        name=lease_name(number.to_bytes(16, "big")),
        scope=freeze(scope or SCOPE),
        expires_at=UnixMillis(SystemClock().now() + 60_000),
    )


async def call(
    server: RunningRedis, credential: Credential, tool: str, arguments, *, bytes_max=4096, seconds=5.0
):
    target = RedisTarget(RedisServer(address=server.address), result_bytes_max=bytes_max)
    async with target.connected(credential) as session:
        return await session.perform(tool, arguments, tag="an-action", seconds_max=seconds)


def works(server: RunningRedis, credential: Credential) -> bool:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        return (
            spoken(connection, "AUTH", credential.account, credential.secret.reveal("password")) == b"+OK\r\n"
        )

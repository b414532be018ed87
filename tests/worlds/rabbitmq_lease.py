"""What tests of leases and tools on rabbitmq share."""

from __future__ import annotations

from typing import Any

from aiormq import Connection

from answerable.adapters.rabbitmq_users import (
    Management,
    RabbitIssuer,
    RabbitServer,
    RabbitTarget,
)
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.core.canonical import JSONValue, freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential, LeaseOrder, Performed
from answerable.core.lease.name import lease_name
from tests.stand_ins.rabbitmq_server import (
    ADMIN,
    ADMIN_PASSWORD,
    VHOST,
    RunningRabbit,
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


async def own_connection(server: RunningRabbit, credential: Credential) -> Connection:
    password = credential.secret.reveal("password")
    connection = Connection(f"amqp://{credential.account}:{password}@127.0.0.1:{server.port}/{VHOST}")
    await connection.connect()
    return connection

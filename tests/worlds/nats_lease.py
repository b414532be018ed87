"""What tests of leases and tools on nats share."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from nats.aio.client import Client

from answerable.adapters.nats_users import (
    NatsIssuer,
    NatsServer,
    NatsTarget,
    SystemAccount,
    user_of,
)
from answerable.adapters.nats_users.tokens import verified_claims
from answerable.adapters.system import SystemClock
from answerable.core.canonical import JSONValue, freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential, LeaseOrder, Performed
from answerable.core.lease.name import lease_name
from answerable.errors import Unavailable
from tests.stand_ins.nats_server import RunningNats

JSONObject = dict[str, JSONValue]


SCOPE: JSONObject = {"publish": [["case", "7", {"any": "token"}]], "request": [["ask", "7"], ["nobody"]]}


def now() -> UnixMillis:
    return SystemClock().now()


def issuer_of(server: RunningNats, **changed: Any) -> NatsIssuer:
    credentials_of = changed.pop("credentials_of", server.broker_credentials)
    system = SystemAccount(
        NatsServer(address=server.address, tls=changed.pop("tls", None), connect_seconds_max=2),
        user_of=lambda: user_of(credentials_of()),
        servers=changed.pop("servers", 1),
        seconds_max=2,
    )
    given: dict[str, Any] = {
        "account": server.account.public,
        "key_of": lambda: server.account.seed,
        "operator_of": lambda: server.operator.seed,
        "clock": SystemClock(),
        "system": system,
    }
    return NatsIssuer(**{**given, **changed})


_numbers = iter(range(1, 10_000))


def order(scope: JSONValue = None, *, at: int | None = None, ttl_ms: int = 60_000) -> LeaseOrder:
    """Of a name that no other test has."""
    expires_at = UnixMillis((now() if at is None else at) + ttl_ms)
    return LeaseOrder(
        name=lease_name(next(_numbers).to_bytes(16, "big")),
        scope=freeze(scope or SCOPE),
        expires_at=expires_at,
    )


async def call(
    server: RunningNats,
    credential: Credential,
    tool: str,
    subject: str,
    message: str = "",
    *,
    seconds: float = 5,
    bytes_max: int = 4096,
) -> Performed:
    target = NatsTarget(NatsServer(address=server.address), result_bytes_max=bytes_max)
    async with target.connected(credential) as session:
        arguments: JSONObject = {"subject": subject, "message": message}
        return await session.perform(tool, arguments, tag="an-action", seconds_max=seconds)


async def works(server: RunningNats, credential: Credential) -> bool:
    try:
        return not (await call(server, credential, "publish", "case.7.note")).result["isError"]
    except Unavailable:
        return False


async def settled(client: Client) -> None:
    """All that was sent has reached the server. The library's first question goes ahead of what is not sent yet."""
    await client.flush(timeout=5)
    await client.flush(timeout=5)


@contextlib.asynccontextmanager
async def user(server: RunningNats, *, system: bool = False) -> AsyncIterator[Client]:
    """A user of the account, or of the system account, that may do everything."""
    user_token, key = server.user(server.system if system else server.account, "somebody")
    client = Client()
    options: dict[str, Any] = {
        "user_jwt_cb": lambda: user_token.encode(),
        "signature_cb": lambda nonce: base64.b64encode(key.sign(nonce.encode())),
    }
    await client.connect(server.address, **options)
    try:
        yield client
    finally:
        await client.close()


async def account_claims(server: RunningNats) -> JSONObject:
    async with user(server, system=True) as client:
        asked = f"$SYS.REQ.ACCOUNT.{server.account.public}.CLAIMS.LOOKUP"
        answer = (await client.request(asked, b"", timeout=2)).data.decode()
    return verified_claims(answer, signers=frozenset({server.operator.public}), subject=server.account.public)


async def push(server: RunningNats, account_token: str) -> None:
    async with user(server, system=True) as client:
        await client.request("$SYS.REQ.CLAIMS.UPDATE", account_token.encode(), timeout=2)

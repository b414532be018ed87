"""The contract suite of issuers on real NATS servers, each claim tried with the credential itself."""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any

import nats.errors
import pytest
from nats.aio.client import Client

from answerable.adapters.nats_users import NatsIssuer, NatsServer, SystemAccount, user_of
from answerable.adapters.nats_users.issuer import inbox_of
from answerable.adapters.nats_users.tokens import SigningKey, signing_key
from answerable.adapters.system import SystemClock
from answerable.core.canonical import freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential
from answerable.testing.contracts.credential_issuer import CredentialIssuerContract, IssuerBench
from tests.probes.waiting import past
from tests.stand_ins.nats_server import RunningNats, nats_server

pytestmark = [pytest.mark.requirement("NATS-01"), pytest.mark.anyio]

HOSTILE = ("*", ">", "7.*", "7 8", "7\r\nPUB case.8.note 0\r\n", "", "7\x00", "$SYS")


async def connected(server: RunningNats, token: str, key: SigningKey, said: list[str]) -> Client:
    """A connection of our own. Raises as the library does."""

    async def hear(error: Exception) -> None:
        said.append(str(error))

    client = Client()
    options: dict[str, Any] = {
        "user_jwt_cb": lambda: token.encode(),
        "signature_cb": lambda nonce: base64.b64encode(key.sign(nonce.encode())),
        "allow_reconnect": False,
        "connect_timeout": 2,
    }
    try:
        await client.connect(server.address, error_cb=hear, **options)
    except BaseException:
        await client.close()
        raise
    return client


async def logged_in(server: RunningNats, credential: Credential, said: list[str]) -> Client:
    key = signing_key(credential.secret.reveal("seed"), of="U")
    return await connected(server, credential.secret.reveal("token"), key, said)


Deed = Callable[[Client], Awaitable[object]]


async def let(server: RunningNats, credential: Credential, deed: Deed) -> bool:
    """Whether the server let it, without a word against it."""
    said: list[str] = []
    try:
        client = await logged_in(server, credential, said)
    except (TimeoutError, nats.errors.Error, OSError):
        return False
    try:
        await deed(client)
        # The first goes ahead of what is not sent yet.
        await client.flush(timeout=2)
        await client.flush(timeout=2)
    except (TimeoutError, nats.errors.Error, OSError):
        return False
    finally:
        await client.close()
    return not said


def publishing(subject: str) -> Deed:
    return lambda client: client.publish(subject, b"x")


def listening(subject: str) -> Deed:
    return lambda client: client.subscribe(subject)


class NatsBench(IssuerBench):
    scope = freeze({"publish": [["case", "7", {"any": "token"}]], "request": [["lookup", "7"]]})
    hostile = tuple(freeze({"publish": [["case", value, {"any": "token"}]]}) for value in HOSTILE)

    def __init__(self, server: RunningNats) -> None:
        self.server = server
        at = NatsServer(address=server.address, connect_seconds_max=2)
        system = None
        if server.resolver == "full":
            system = SystemAccount(
                at, user_of=lambda: user_of(server.broker_credentials()), servers=1, seconds_max=2
            )
        self.issuer = self.own = NatsIssuer(
            account=server.account.public,
            key_of=lambda: server.signing.seed,
            clock=SystemClock(),
            system=system,
            operator_of=lambda: server.operator.seed,
        )

    def now(self) -> UnixMillis:
        return UnixMillis(time.time_ns() // 1_000_000)

    async def use(self, credential: Credential) -> bool:
        return await let(self.server, credential, publishing("case.7.note"))

    def neighbours(self) -> Mapping[str, Callable[[Credential], Awaitable[bool]]]:
        own = inbox_of(self.order().name)
        deeds = {
            "another case": publishing("case.8.note"),
            "a longer subject": publishing("case.7.note.more"),
            "a shorter subject": publishing("case.7"),
            "another question": publishing("lookup.8"),
            "the server": publishing("$SYS.REQ.SERVER.PING"),
            "an answer to somebody": publishing("_INBOX.other.1"),
            "listening to what it may say": listening("case.7.note"),
            "listening to everything": listening(">"),
            "listening to others' answers": listening("_INBOX.>"),
            "listening to another lease": listening(own.rpartition("_")[0] + "_other.>"),
        }

        def tried(deed: Deed) -> Callable[[Credential], Awaitable[bool]]:
            async def one(credential: Credential) -> bool:
                return await let(self.server, credential, deed)

            return one

        return {what: tried(deed) for what, deed in deeds.items()}

    async def hold_open(self, credential: Credential) -> Callable[[], Awaitable[bool]]:
        said: list[str] = []
        client = await logged_in(self.server, credential, said)

        async def is_working() -> bool:
            try:
                await client.publish("case.7.note", b"x")
                await client.flush(timeout=1)
                await client.flush(timeout=1)
            except (TimeoutError, nats.errors.Error, OSError):
                await client.close()
                return False
            return not said

        return is_working

    async def stop(self) -> bool:
        if self.server.resolver != "full":
            return False
        self.server.stop()
        return True

    async def start(self) -> None:
        self.server.start()

    async def passed(self, credential: Credential) -> None:
        await past(credential.expires_at + 200)


@pytest.fixture(scope="module")
def server() -> Iterator[RunningNats]:
    with nats_server() as running:
        yield running


@pytest.fixture(scope="module")
def server_in_memory() -> Iterator[RunningNats]:
    with nats_server(resolver="memory") as running:
        yield running


@pytest.fixture
async def fresh(server: RunningNats) -> RunningNats:
    """The server with nobody revoked: the suite gives one name to several tests."""
    token, key = server.user(server.system, "administrator")
    client = await connected(server, token, key, [])
    await client.request("$SYS.REQ.CLAIMS.UPDATE", server.account_token().encode(), timeout=2)
    await client.close()
    return server


class TestNatsIssuer(CredentialIssuerContract):
    """Where tokens of accounts can be replaced."""

    @pytest.fixture
    async def bench(self, fresh: RunningNats) -> AsyncIterator[NatsBench]:
        made = NatsBench(fresh)
        yield made
        await made.own.close()


class TestNatsIssuerInMemory(CredentialIssuerContract):
    """Where they cannot: users end at their time."""

    @pytest.fixture
    async def bench(self, server_in_memory: RunningNats) -> NatsBench:
        return NatsBench(server_in_memory)

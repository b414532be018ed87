"""A NATS server, as tests of leases and tools on it see it; message_servers.py says what all have."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import nats.errors
from nats.aio.client import Client

from answerable.adapters.nats_users import (
    NatsIssuer,
    NatsServer,
    NatsTarget,
    SystemAccount,
    user_of,
)
from answerable.adapters.nats_users.issuer import inbox_of
from answerable.adapters.nats_users.tokens import SigningKey, signing_key, verified_claims
from answerable.adapters.system import SystemClock
from answerable.core.canonical import JSONValue, freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential, LeaseOrder, Performed
from answerable.core.lease.name import lease_name
from answerable.errors import Unavailable
from answerable.targets.addresses import tls_context
from answerable.testing.contracts.credential_issuer import IssuerBench
from tests.probes.waiting import past
from tests.stand_ins.nats_server import RunningNats, broker_permissions, credentials, nats_server
from tests.stand_ins.own_server import made_certificate

JSONObject = dict[str, JSONValue]


SCOPE: JSONObject = {"publish": [["case", "7", {"any": "token"}]], "request": [["ask", "7"], ["nobody"]]}


def now() -> UnixMillis:
    return SystemClock().now()


def issuer_of(server: RunningNats, **changed: Any) -> NatsIssuer:
    credentials_of = changed.pop("credentials_of", server.broker_credentials)
    there = changed.pop("there", None) or NatsServer(address=server.address, connect_seconds_max=2)
    system = SystemAccount(
        there, user_of=lambda: user_of(credentials_of()), servers=changed.pop("servers", 1), seconds_max=2
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
    client = await connected(server, user_token, key, [])
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


def target_of(server: RunningNats) -> NatsTarget:
    return NatsTarget(NatsServer(address=server.address))


KIND = "nats"
DONE: JSONObject = {"published": True}
SETTINGS_MISSING = 3
_RIGHTS = broker_permissions("ACCOUNT")["pub"]
LESSER = tuple(str(one) for one in _RIGHTS["allow"])


@contextmanager
def own_server() -> Iterator[RunningNats]:
    with nats_server() as running:
        yield running


served = own_server


def granted_call() -> tuple[str, JSONObject]:
    return "publish", {"subject": "case.7.a"}


@asynccontextmanager
async def issuer_on(server: RunningNats) -> AsyncIterator[NatsIssuer]:
    made = issuer_of(server)
    yield made
    await made.close()


async def connections(server: RunningNats) -> list[Any]:
    """Of users of the account, as the system account of the server sees them."""
    system = SystemAccount(
        NatsServer(address=server.address),
        user_of=lambda: user_of(server.broker_credentials()),
        servers=1,
        seconds_max=2,
    )
    found = await system.connections(server.account.public)
    await system.close()
    return list(found)


async def sessions_of(server: RunningNats, credential: Credential) -> list[tuple[str, str]]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as asked:
        own = json.loads(asked.makefile().readline().removeprefix("INFO "))["server_id"]
    shown = [one for one in await connections(server) if one.get("name_tag") == credential.account]
    return [("nats_client", f"server={own} cid={one['cid']}") for one in shown]


def secrets_of(server: RunningNats, credential: Credential) -> list[str]:
    keys = (server.operator, server.account, server.signing, server.system)
    own = user_of(server.broker_credentials()).key
    return [*(key.seed for key in keys), own.seed, credential.secret.reveal("seed")]


def failing(server: RunningNats, issuer: NatsIssuer, again: LeaseOrder) -> list[Callable[[], Any]]:
    wrong = issuer_of(server, credentials_of=lambda: server.broker_credentials().replace("SU", "SA"))
    return [
        lambda: issuer.renew(again.name, now()),
        lambda: wrong.issue(order()),
        lambda: issuer.granted(again.name),
    ]


def shown_by(server: RunningNats) -> list[str]:
    texts = [(server.folder / name).read_text() for name in ("nats.log", "output.txt")]
    return [*texts, repr(user_of(server.broker_credentials())), repr(server.account)]


def page_has_the_rights(page: str) -> bool:
    return ",".join(LESSER) in page


@asynccontextmanager
async def broker_with_less(server: RunningNats, lacking: str) -> AsyncIterator[NatsIssuer]:
    kept: list[JSONValue] = [
        one.replace("ACCOUNT.ACCOUNT", f"ACCOUNT.{server.account.public}") for one in LESSER if one != lacking
    ]
    inbox: list[JSONValue] = ["_INBOX.>"]
    own = credentials(*server.user(server.system, "b", pub={"allow": kept}, sub={"allow": inbox}))
    issuer = issuer_of(server, credentials_of=lambda: own)
    yield issuer
    await issuer.close()


async def whole_life(issuer: NatsIssuer) -> None:
    credential = await issuer.issue(order())
    await issuer.live()
    await issuer.revoke(credential.lease)


@contextmanager
def tls_server() -> Iterator[RunningNats]:
    options = "tls { cert_file: './cert.pem', key_file: './key.pem' }\n"
    with nats_server(options=options, prepared=made_certificate) as safe:
        yield safe


def tls_parts(server: RunningNats, host: str, signers: str) -> tuple[NatsIssuer, NatsTarget]:
    there = NatsServer(address=f"tls://{host}:{server.port}", tls=tls_context(signers), connect_seconds_max=2)
    return issuer_of(server, there=there), NatsTarget(there)


def settings_of(server: RunningNats) -> tuple[dict[str, Any], dict[str, str]]:
    settings = {
        "address": server.address,
        "account": server.account.public,
        "account_key": "file:account",
        "operator_key": "file:operator",
        "system_credentials": "file:system",
    }
    files = {
        "file:account": server.account.seed,
        "file:operator": server.operator.seed,
        "file:system": server.broker_credentials(),
    }
    return settings, files


@asynccontextmanager
async def unanswered(server: RunningNats) -> AsyncIterator[tuple[str, JSONObject]]:
    async with user(server) as somebody:
        await somebody.subscribe("ask.7")
        await settled(somebody)
        yield "request", {"subject": "ask.7"}


HOSTILE = ("*", ">", "7.*", "7 8", "7\r\nPUB case.8.note 0\r\n", "", "7\x00", "$SYS")


async def connected(
    server: RunningNats, token: str, key: SigningKey, said: list[str], *, name: str | None = None
) -> Client:
    """A connection of our own. Raises as the library does."""

    async def hear(error: Exception) -> None:
        said.append(str(error))

    client = Client()
    options: dict[str, Any] = {
        "user_jwt_cb": lambda: token.encode(),
        "signature_cb": lambda nonce: base64.b64encode(key.sign(nonce.encode())),
        "allow_reconnect": False,
        "connect_timeout": 2,
        "name": name,
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
        changed = {} if server.resolver == "full" else {"system": None}
        self.issuer = self.own = issuer_of(server, key_of=lambda: server.signing.seed, **changed)

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


@asynccontextmanager
async def bench_on(server: RunningNats) -> AsyncIterator[NatsBench]:
    """Where tokens of accounts can be replaced, with nobody revoked: the suite gives one name to several tests."""
    if server.resolver == "full":
        await push(server, server.account_token())
    made = NatsBench(server)
    yield made
    await made.own.close()

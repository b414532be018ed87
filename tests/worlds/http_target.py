"""HTTP targets as a broker builds them, on a real authorization server and an API that asks it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import anyio
import anyio.to_thread
import httpx2

from answerable.adapters.http_target.kind import HttpTargetSettings, faults_of
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.core.canonical import freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential, LeaseOrder, Secret
from answerable.core.lease.name import lease_name
from answerable.errors import AnswerableError, Malformed, Refused, Unavailable
from answerable.ports.clock import Clock
from answerable.targets.kind import BuiltTarget, TargetContext
from answerable.testing.contracts.credential_issuer import IssuerBench
from tests.stand_ins.authorization_server import OPAQUE, SECRET, AuthorizationServer
from tests.stand_ins.resource_server import ResourceServer

CANARY = "canary-8d1f0c7e-standing-key"
READ = freeze(
    {
        "scopes": ["read:case"],
        "resource": [OPAQUE],
        "requests": [{"methods": ["GET"], "path": "/cases/7", "below": True}],
    }
)
KEYED = freeze({"requests": [{"methods": ["GET"], "path": "/cases/7", "below": True}]})
HOSTILE_REQUESTS: tuple[Any, ...] = (
    [{"methods": ["GET"], "path": "/cases/../admin"}],
    [{"methods": ["GET"], "path": "/cases/%2e%2e/admin"}],
    [{"methods": ["GET"], "path": "//other.example/cases"}],
    [{"methods": ["GET"], "path": "/cases/7\r\nx-admin: 1"}],
    [{"methods": ["GET", "TRACE"], "path": "/cases/7"}],
    [{"methods": ["GET"], "path": "/cases/7", "query": {"a&b": "1\n"}}],
)


class Secrets(dict[str, bytes]):
    """What references point at; like the broker's own reader, it refuses what is not there."""

    def of(self, reference: str) -> bytes:
        if reference not in self:
            raise Malformed("the secret is not there", code="settings.secret")
        return self[reference]


def world(secrets: Secrets, *, clock: Clock | None = None) -> TargetContext:
    return TargetContext(clock=clock or SystemClock(), entropy=SystemEntropy(), secret_of=secrets.of)


def oauth_settings(
    server: AuthorizationServer, api: ResourceServer | None = None, **more: Any
) -> HttpTargetSettings:
    settings = HttpTargetSettings(
        base_url=api.url if api else "http://127.0.0.1:9",
        auth="client_credentials",
        token_url=server.token_url,
        revocation_url=server.revocation_url,
        introspection_url=server.introspection_url,
        client_id="broker",
        secret="file:client",
        is_introspected=True,
    )
    settings = replace(settings, **more)
    assert not faults_of(settings)
    return settings


def order(number: int = 1, *, scope: Any = READ, ttl_ms: int = 60_000) -> LeaseOrder:
    now = SystemClock().now()
    return LeaseOrder(
        name=lease_name(number.to_bytes(16, "big")), scope=scope, expires_at=UnixMillis(now + ttl_ms)
    )


async def asked(
    target: BuiltTarget,
    credential: Credential,
    path: str = "/cases/7",
    *,
    tool: str = "request",
    **arguments: Any,
) -> dict[str, Any]:
    """One request by the broker's session."""
    async with target.target.connected(credential) as session:
        return await performed(session, path, tool=tool, **arguments)


async def performed(
    session: Any, path: str = "/cases/7", *, tool: str = "request", tag: str = "act1", **arguments: Any
) -> dict[str, Any]:
    given = {"method": "GET", "path": path, **arguments}
    done = await session.perform(tool, given, tag=tag, seconds_max=10)
    found = dict(done.result)
    assert isinstance(found["structuredContent"], dict)
    return found["structuredContent"] | {"isError": found["isError"], "session": done.session}


async def directly(url: str, token: str, method: str = "GET", path: str = "/cases/7") -> int:
    """With the token alone, past the broker: the status."""
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as client:
        answer = await client.request(method, url + path, headers={"authorization": f"Bearer {token}"})
        return answer.status_code


class OAuthBench(IssuerBench):
    """Tokens are used directly at the API, and sessions are the broker's own."""

    hostile = tuple(
        freeze({"scopes": ["read:case"], "resource": [OPAQUE], "requests": requests})
        for requests in HOSTILE_REQUESTS
    ) + tuple(
        freeze(
            {
                "scopes": list[Any](scopes),
                "resource": [OPAQUE],
                "requests": [{"methods": ["GET"], "path": "/cases/7"}],
            }
        )
        for scopes in (
            ["read:case write:case"],
            ['read:case" write:case'],
            ["read:case&scope=write:case"],
            [""],
        )
    )

    def __init__(self, target: BuiltTarget, server: AuthorizationServer, api: ResourceServer) -> None:
        self.target = target
        self.issuer = target.issuer
        self.scope = READ
        self._server = server
        self._api = api

    def now(self) -> UnixMillis:
        return SystemClock().now()

    async def use(self, credential: Credential) -> bool:
        return await directly(self._api.url, credential.secret.reveal("token")) == 200

    def neighbours(self) -> Mapping[str, Callable[[Credential], Awaitable[bool]]]:
        async def write(credential: Credential) -> bool:
            return await directly(self._api.url, credential.secret.reveal("token"), "POST") == 200

        async def delete(credential: Credential) -> bool:
            return await directly(self._api.url, credential.secret.reveal("token"), "DELETE") == 200

        return {"another verb": write, "deletion": delete}

    async def hold_open(self, credential: Credential) -> Callable[[], Awaitable[bool]] | None:
        return await held_open(self.target, credential)

    async def stop(self) -> bool:
        if not self.issuer.traits.revocable:
            return False
        await anyio.to_thread.run_sync(lambda: self._server.tell(stop=True))
        return True

    async def start(self) -> None:
        await anyio.to_thread.run_sync(lambda: self._server.tell(start=True))


class StandingBench(IssuerBench):
    """The key never leaves the broker, so that its session is the only way to use a lease."""

    hostile = tuple(freeze({"requests": requests}) for requests in HOSTILE_REQUESTS)

    def __init__(self, target: BuiltTarget) -> None:
        self.target = target
        self.issuer = target.issuer
        self.scope = KEYED

    def now(self) -> UnixMillis:
        return SystemClock().now()

    async def use(self, credential: Credential) -> bool:
        return await lets(self.target, credential)

    def neighbours(self) -> Mapping[str, Callable[[Credential], Awaitable[bool]]]:
        async def other(credential: Credential) -> bool:
            return await lets(self.target, credential, path="/cases/8")

        async def write(credential: Credential) -> bool:
            return await lets(self.target, credential, method="POST")

        return {"another case": other, "another verb": write}

    async def hold_open(self, credential: Credential) -> Callable[[], Awaitable[bool]] | None:
        return await held_open(self.target, credential)


async def lets(target: BuiltTarget, credential: Credential, **arguments: Any) -> bool:
    try:
        return bool((await asked(target, credential, **arguments))["status"] == 200)
    except (Refused, Unavailable):
        return False


async def held_open(target: BuiltTarget, credential: Credential) -> Callable[[], Awaitable[bool]]:
    """A session that stays open as long as somebody asks about it, as a broker that hangs would leave it."""
    opened = target.target.connected(credential)
    session = await opened.__aenter__()

    async def is_working() -> bool:
        assert opened is not None
        try:
            return bool((await performed(session))["status"] == 200)
        except AnswerableError:
            return False

    return is_working


def forged(credential: Credential, **texts: str) -> Credential:
    return replace(credential, secret=Secret(**texts))


@contextmanager
def api_of(server: AuthorizationServer) -> Iterator[ResourceServer]:
    from tests.stand_ins.resource_server import by_introspection, resource_server

    with resource_server(by_introspection(server.introspected, OPAQUE)) as api:
        yield api


SECRETS = Secrets({"file:client": SECRET.encode(), "file:key": CANARY.encode() + b"\n"})

"""What benches on PostgreSQL and MariaDB have in common: orders, a target as wiring builds it, and how it is tried."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import Any, ClassVar, Protocol, TypeVar

from answerable.adapters.system import SystemEntropy
from answerable.core.canonical import JSONValue
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential, LeaseOrder
from answerable.core.lease.name import lease_name
from answerable.core.lease.scope import Scope
from answerable.ports.clock import Clock
from answerable.targets.kind import BuiltTarget, TargetContext
from answerable.testing.contracts.credential_issuer import IssuerBench
from answerable.wiring.target_kinds import kind_named

Bench = TypeVar("Bench", bound=IssuerBench)


known_kind = cache(kind_named)
"""What is installed does not change while tests run."""


class Stoppable(Protocol):
    def start(self) -> None: ...

    def stop(self) -> None: ...


def table(name: JSONValue, *verbs: str, **more: JSONValue) -> JSONValue:
    return {"name": name, "verbs": list(verbs), **more}


def lease_order(number: int, of: Scope, ttl_ms: int) -> LeaseOrder:
    return LeaseOrder(
        name=lease_name(number.to_bytes(16, "big")),
        scope=of,
        expires_at=UnixMillis(time.time_ns() // 1_000_000 + ttl_ms),
    )


def built_target(name: str, places: Mapping[str, Any], *, password: str, clock: Clock) -> BuiltTarget:
    """As wiring builds it, with the broker's password in a secret reference."""
    kind = known_kind(name)
    settings = kind.settings(**{"password": "env:BROKER", **places})
    assert not kind.faults(settings)
    world = TargetContext(clock=clock, entropy=SystemEntropy(), secret_of=lambda _: password.encode())
    return kind.build(settings, world)


class SqlBench(IssuerBench):
    """Credentials are used by connections of the bench's own.

    home: the database that they are for, where one is named at all. reads: what the scope lets. beside: what it does
    not let. refusals: how the driver says that a statement, or a login, was refused; lost: that the connection is gone.
    """

    home: ClassVar[str | None]
    reads: ClassVar[str]
    beside: ClassVar[Mapping[str, str]]
    refusals: ClassVar[tuple[type[Exception], ...]]
    lost: ClassVar[tuple[type[Exception], ...]]
    stands: Stoppable

    @abstractmethod
    async def opened(self, credential: Credential, database: str | None) -> Any:
        """A connection that is logged in as the credential."""

    @abstractmethod
    async def does(self, connection: Any, sql: str) -> None:
        """Run it."""

    @abstractmethod
    async def leave(self, connection: Any) -> None:
        """Close it, whether it is gone or not."""

    def now(self) -> UnixMillis:
        return UnixMillis(time.time_ns() // 1_000_000)

    async def lets(self, credential: Credential, sql: str, database: str | None = None) -> bool:
        shut: tuple[type[Exception], ...] = (OSError, *self.refusals)
        try:
            connection = await self.opened(credential, database or self.home)
        except shut:
            return False
        try:
            await self.does(connection, sql)
        except self.refusals:
            return False
        finally:
            await self.leave(connection)
        return True

    async def use(self, credential: Credential) -> bool:
        return await self.lets(credential, self.reads)

    def neighbours(self) -> Mapping[str, Callable[[Credential], Awaitable[bool]]]:
        return {what: partial(self.lets, sql=sql) for what, sql in self.beside.items()}

    async def hold_open(self, credential: Credential) -> Callable[[], Awaitable[bool]]:
        connection = await self.opened(credential, self.home)

        async def is_working() -> bool:
            try:
                await self.does(connection, "SELECT 1")
            except self.lost:
                await self.leave(connection)
                return False
            return True

        return is_working

    async def stop(self) -> bool:
        await asyncio.to_thread(self.stands.stop)
        return True

    async def start(self) -> None:
        await asyncio.to_thread(self.stands.start)


@asynccontextmanager
async def emptied(bench: Bench) -> AsyncIterator[Bench]:
    """A bench after which no lease is left."""
    yield bench
    for name in await bench.issuer.live():
        await bench.issuer.revoke(name)
    await bench.issuer.close()

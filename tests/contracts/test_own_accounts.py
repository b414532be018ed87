"""The broker's own accounts on real servers: each gets a new password there, and is never locked out."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Any

import aiomysql
import anyio
import asyncpg
import pytest
from aiormq import Connection

from answerable.adapters.postgres_roles.connections import LOST
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.core.lease.credential import LeaseOrder
from answerable.errors import Refused, Unavailable
from answerable.ports.admin_account import AdminAccount
from answerable.targets.kind import BuiltTarget, TargetContext
from answerable.wiring.target_kinds import kind_named
from tests.stand_ins.mariadb_server import BROKER_PASSWORD as MARIADB_PASSWORD
from tests.stand_ins.postgres_server import BROKER_PASSWORD as POSTGRES_PASSWORD
from tests.stand_ins.rabbitmq_server import ADMIN_PASSWORD as RABBITMQ_PASSWORD
from tests.stand_ins.rabbitmq_server import VHOST, RunningRabbit, session_rabbitmq
from tests.stand_ins.redis_server import ADMIN, RunningRedis, redis_server, spoken
from tests.stand_ins.redis_server import ADMIN_PASSWORD as REDIS_PASSWORD
from tests.worlds import mariadb as mariadb_world
from tests.worlds import postgres as postgres_world
from tests.worlds import rabbitmq_lease as rabbitmq_lease_world
from tests.worlds import redis_lease as redis_lease_world
from tests.worlds.sql_bench import known_kind

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SECRET-06")]

KINDS = ("mariadb", "postgres", "rabbitmq", "redis")
NEW = "canary-rotated-password-0123456789abcdef"

Session = Callable[[], Awaitable[bool]]


class Bench:
    """One server. values: what a reference means now, and what else it may mean."""

    first: str
    settings: dict[str, Any]
    kind: str
    order: Callable[[], LeaseOrder]

    def __init__(self, server: Any) -> None:
        self.server = server

    def built(self, *values: str) -> BuiltTarget:
        kind = known_kind(self.kind)
        settings = kind.settings(**{**self.settings, "password": "store:it"})
        assert not kind.faults(settings)
        world = TargetContext(
            clock=SystemClock(),
            entropy=SystemEntropy(),
            secret_of=lambda _: values[0].encode(),
            others_of=lambda _: tuple(one.encode() for one in values),
        )
        return kind.build(settings, world)

    @property
    def account(self) -> AdminAccount:
        own = self.built(self.first).own
        assert own is not None
        return own

    async def lets(self, value: str) -> bool:
        """By a client of the test's own."""
        raise NotImplementedError

    async def session(self, value: str) -> Session:
        """One that stays open; whether it still works."""
        raise NotImplementedError

    def restart(self) -> None:
        self.server.stop()
        self.server.start()

    def log(self) -> bytes:
        return b"".join(
            path.read_bytes()
            for path in self.server.folder.rglob("*")
            if path.is_file() and "log" in path.name
        )


class Postgres(Bench):
    kind, first = "postgres", POSTGRES_PASSWORD

    def __init__(self, server: Any) -> None:
        super().__init__(server)
        self.settings = {"port": server.port, "databases": ("prod",)}
        self.order = postgres_world.order

    async def _in(self, value: str) -> asyncpg.Connection:
        return await asyncpg.connect(
            host="127.0.0.1", port=self.server.port, user="answerable", password=value, database="postgres"
        )

    async def lets(self, value: str) -> bool:
        try:
            connection = await self._in(value)
        except asyncpg.InvalidPasswordError:
            return False
        await connection.close()
        return True

    async def session(self, value: str) -> Session:
        connection = await self._in(value)

        async def works() -> bool:
            with suppress(*LOST, asyncpg.PostgresError):
                return await connection.fetchval("SELECT 1") == 1
            return False

        return works


class Mariadb(Bench):
    kind, first = "mariadb", MARIADB_PASSWORD

    def __init__(self, server: Any) -> None:
        super().__init__(server)
        self.settings = {"port": server.port, "databases": ("shop",)}
        self.order = mariadb_world.order

    async def _in(self, value: str) -> aiomysql.Connection:
        return await aiomysql.connect(
            host="127.0.0.1", port=self.server.port, user="answerable", password=value
        )

    async def lets(self, value: str) -> bool:
        try:
            connection = await self._in(value)
        except aiomysql.OperationalError as refused:
            if refused.args[0] != 1045:
                raise
            return False
        connection.close()
        return True

    async def session(self, value: str) -> Session:
        connection = await self._in(value)

        async def works() -> bool:
            with suppress(OSError, aiomysql.MySQLError):
                cursor = await connection.cursor()
                await cursor.execute("SELECT 1")
                return True
            return False

        return works


class Redis(Bench):
    kind, first = "redis", REDIS_PASSWORD

    def __init__(self, server: RunningRedis) -> None:
        super().__init__(server)
        self.settings = {"address": server.address, "saves_users": True}
        self.order = redis_lease_world.order

    def _in(self, value: str) -> socket.socket | None:
        connection = socket.create_connection(("127.0.0.1", self.server.port), timeout=5)
        if spoken(connection, "AUTH", ADMIN, value) == b"+OK\r\n":
            return connection
        connection.close()
        return None

    async def lets(self, value: str) -> bool:
        connection = self._in(value)
        if connection is None:
            return False
        connection.close()
        return True

    async def session(self, value: str) -> Session:
        connection = self._in(value)
        assert connection is not None

        async def works() -> bool:
            try:
                return spoken(connection, "ACL", "USERS").startswith(b"*")
            except OSError:
                return False

        return works


class Rabbitmq(Bench):
    kind, first = "rabbitmq", RABBITMQ_PASSWORD

    def __init__(self, server: RunningRabbit) -> None:
        super().__init__(server)
        self.settings = {"address": server.address, "management": server.management, "vhost": "cases"}
        self.order = rabbitmq_lease_world.order

    async def session(self, value: str) -> Session:
        rights = {"configure": "", "write": "", "read": ""}
        place = f"/api/permissions/{VHOST}/answerable"
        told = await anyio.to_thread.run_sync(self.server.as_operator, "PUT", place, rights)
        told.raise_for_status()
        connection = Connection(f"amqp://answerable:{value}@127.0.0.1:{self.server.port}/{VHOST}")
        await connection.connect()

        async def works() -> bool:
            for _ in range(40):
                if connection.is_closed:
                    return False
                await asyncio.sleep(0.05)
            return True

        return works

    async def lets(self, value: str) -> bool:
        return await anyio.to_thread.run_sync(self.server.asked_by, "answerable", value, "/api/users")

    def restart(self) -> None:
        self.server.stop()
        self.server.start(furnishes=False)


@pytest.fixture(scope="module")
def servers():
    """Each started when it is first asked for."""
    made = {
        "mariadb": (mariadb_world.own_furnished_server, Mariadb),
        "postgres": (postgres_world.own_furnished_server, Postgres),
        "rabbitmq": (session_rabbitmq, Rabbitmq),
        "redis": (lambda: redis_server(with_file=True), Redis),
    }
    running: dict[str, Bench] = {}
    with ExitStack() as stack:

        def of(kind: str) -> Bench:
            if kind not in running:
                starts, bench = made[kind]
                running[kind] = bench(stack.enter_context(starts()))
            return running[kind]

        yield of


@asynccontextmanager
async def _as_it_was(bench: Bench) -> AsyncIterator[Bench]:
    """The account has its first password before and after."""
    yield bench
    await bench.account.set_to(bench.first, known=[bench.first, NEW, f"{NEW}-2"], cuts=False)


@pytest.fixture(params=KINDS)
def chosen(request, servers):
    return servers(request.param)


@pytest.fixture
async def bench(chosen):
    async with _as_it_was(chosen) as found:
        yield found


async def test_it_takes_the_new_one_and_no_other_and_goes_on_so_after_a_crash_of_the_server(bench):
    account = bench.account
    assert await account.takes(bench.first)
    assert not await account.takes(NEW)
    await account.set_to(NEW, known=["no-such-password", bench.first], cuts=False)
    assert await account.takes(NEW)
    assert await bench.lets(NEW)
    assert not await bench.lets(bench.first)
    # As a next attempt does, after one that was cut off.
    await account.set_to(NEW, known=[bench.first, NEW], cuts=False)
    assert await bench.lets(NEW)
    await asyncio.to_thread(bench.restart)
    assert await bench.lets(NEW)
    assert NEW.encode() not in bench.log()


async def test_where_none_of_the_passwords_is_taken_nothing_changes_and_it_says_what_to_do(bench):
    with pytest.raises(Refused) as refused:
        await bench.account.set_to(NEW, known=["wrong-one", "wrong-two"], cuts=False)
    assert refused.value.code == "account.refused"
    assert "answerable secret rotate" in refused.value.message
    for value in (NEW, bench.first, "wrong-one"):
        assert value not in refused.value.message
    assert await bench.lets(bench.first)
    assert not await bench.lets(NEW)


async def test_the_issuer_goes_on_through_a_change_whichever_password_it_has_read(bench):
    """Between the change at the target and the store's word of it, what is read first is refused."""
    before = bench.built(bench.first, NEW)
    credential = await before.issuer.issue(bench.order())
    await before.issuer.revoke(credential.lease)
    await before.issuer.close()
    await bench.account.set_to(NEW, known=[bench.first], cuts=False)
    during = bench.built(bench.first, NEW)
    credential = await during.issuer.issue(bench.order())
    assert await during.issuer.live() == (credential.lease,)
    await during.issuer.revoke(credential.lease)
    await during.issuer.close()
    lost = bench.built(bench.first, "wrong-one")
    with pytest.raises(Unavailable) as refused:
        await lost.issuer.issue(bench.order())
    assert refused.value.effect == "none"


async def test_after_exposure_whoever_is_in_with_the_old_one_is_cut_off_and_else_nobody_is(bench):
    works = await bench.session(bench.first)
    await bench.account.set_to(NEW, known=[bench.first], cuts=False)
    assert await works()
    await bench.account.set_to(f"{NEW}-2", known=[NEW], cuts=True)
    assert not await works()
    assert await bench.lets(f"{NEW}-2")


async def test_a_server_that_is_away_is_unavailable_and_no_refusal(bench):
    account = bench.account
    await asyncio.to_thread(bench.server.stop)
    try:
        with pytest.raises(Unavailable) as away:
            await account.set_to(NEW, known=[bench.first], cuts=False)
        assert (away.value.code, away.value.effect) == ("account.target", "none")
        with pytest.raises(Unavailable):
            await account.takes(bench.first)
    finally:
        await asyncio.to_thread(bench.server.start)


@pytest.mark.requirement("SECRET-07")
def test_a_redis_that_keeps_no_file_of_users_is_not_rotated_for_it_would_come_back_with_the_old_one(servers):
    bench = servers("redis")
    kind = kind_named("redis")
    settings = kind.settings(address=bench.server.address, password="store:it")
    world = TargetContext(clock=SystemClock(), entropy=SystemEntropy(), secret_of=lambda _: b"")
    built = kind.build(settings, world)
    assert built.own is None
    assert "saves_users" in built.why_not


async def test_a_redis_that_keeps_no_file_says_so_before_anything_is_changed():
    with redis_server() as server:
        bench = Redis(server)
        with pytest.raises(Refused) as refused:
            await bench.account.set_to(NEW, known=[bench.first], cuts=False)
        assert refused.value.code == "account.refused"
        assert await bench.lets(bench.first)
        assert not await bench.lets(NEW)

"""What a lease on PostgreSQL could leave behind or outlive, and where its secret could be seen, on a real server."""

from __future__ import annotations

import random

import anyio
import asyncpg
import pytest

from answerable.adapters.postgres_roles.connections import LOST
from answerable.adapters.postgres_roles.quoting import quoted_name, quoted_text
from answerable.core.canonical import JSONValue
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.name import lease_name
from answerable.errors import Unavailable
from tests.worlds.postgres import (
    PostgresBench,
    WallClock,
    bench_on,
    built,
    furnished_server,
    order,
    scope,
)
from tests.worlds.sql_bench import table

pytestmark = [pytest.mark.anyio]

ENDED = (*LOST, asyncpg.PostgresError)
"""What a client sees whose connection the server cut."""
MESSAGES = "public.support_messages"
CASE: JSONValue = {"column": "case_id", "equals": "case-1"}


@pytest.fixture(scope="module")
def server():
    with furnished_server() as running:
        yield running


@pytest.fixture
async def bench(server):
    async with bench_on(server) as opened:
        yield opened


@pytest.mark.requirement("PG-08")
async def test_trap_neither_an_end_in_time_nor_nologin_touches_an_open_session_and_revoking_does(
    bench, server
):
    credential = await bench.issuer.issue(order(ttl_ms=700))
    connection = await bench.connect(credential)
    await bench.passed(credential)
    assert not await bench.use(credential)
    assert len(await connection.fetch("SELECT id FROM public.support_messages")) == 10
    await server.run(f"ALTER ROLE {quoted_name(credential.account)} NOLOGIN;")
    assert len(await connection.fetch("SELECT id FROM public.support_messages")) == 10
    with anyio.fail_after(30):
        revoked = await bench.issuer.revoke(credential.lease)
    assert (revoked.sessions_cut, revoked.left) == (1, ())
    with pytest.raises(ENDED):
        await connection.fetch("SELECT 1")
    connection.terminate()


@pytest.mark.requirement("PG-08")
async def test_trap_a_role_that_owns_things_in_several_databases_goes_with_them(bench, server):
    credential = await bench.issuer.issue(order())
    for database in ("staging", "postgres"):
        assert await bench.lets(credential, "SELECT lo_from_bytea(0, 'kept')", database)
    assert (await bench.issuer.revoke(credential.lease)).is_gone
    assert not await bench.issuer.live()
    for database in ("staging", "postgres"):
        assert (await server.run("SELECT count(*) FROM pg_largeobject_metadata", database))[0][0] == 0


@pytest.mark.requirement("PG-08")
async def test_trap_what_others_made_depend_on_it_is_not_dropped_and_the_lease_is_not_called_gone(server):
    await server.run("GRANT CREATE ON SCHEMA public TO PUBLIC;", "prod")
    bench = PostgresBench(server, built(server, may_public_create=True))
    try:
        credential = await bench.issuer.issue(order())
        assert await bench.lets(
            credential, "CREATE TABLE public.mine (id int); GRANT SELECT ON public.mine TO PUBLIC"
        )
        await server.run("CREATE VIEW leaning AS SELECT * FROM mine;", "prod")
        with pytest.raises(Unavailable) as caught:
            await bench.issuer.revoke(credential.lease)
        assert "the lease no longer works, but its account is still at the server" in caught.value.message
        assert not await bench.use(credential)
        assert await bench.issuer.live() == (credential.lease,)
        await server.run("DROP VIEW leaning;", "prod")
        assert (await bench.issuer.revoke(credential.lease)).is_gone
    finally:
        await server.run("REVOKE CREATE ON SCHEMA public FROM PUBLIC;", "prod")
        await bench.issuer.close()


@pytest.mark.requirement("PG-08")
async def test_a_table_that_others_hold_keeps_the_account_and_not_its_use(server):
    bench = PostgresBench(server, built(server, lock_seconds_max=0.02))
    credential = await bench.issuer.issue(order())
    holder = await server.owner("prod")
    await holder.execute("BEGIN; SELECT count(*) FROM support_messages")
    is_working = await bench.hold_open(credential)
    with pytest.raises(Unavailable) as caught:
        await bench.issuer.revoke(credential.lease)
    assert "lock" in caught.value.message
    assert not await is_working()
    assert not await bench.use(credential)
    # Nor is a rule about its rows made meanwhile; leases on other tables are.
    with pytest.raises(Unavailable) as caught:
        await bench.issuer.issue(order(2))
    assert caught.value.effect == "none"
    other = await bench.issuer.issue(order(3, of=scope(tables=[table("public.customers", "select")])))
    await holder.execute("COMMIT")
    await holder.close()
    for name in (credential.lease, other.lease, order(2).name):
        assert (await bench.issuer.revoke(name)).is_gone
    assert not await bench.issuer.live()
    await bench.issuer.close()


@pytest.mark.requirement("PG-08")
async def test_a_session_that_was_on_its_way_in_does_not_outlive_its_role(bench, monkeypatch):
    """Its first look for sessions misses one, as it does while one is between the check of the login and the list."""
    credential = await bench.issuer.issue(order())
    connection = await bench.connect(credential)
    looked = []
    really = type(bench.issuer._ending)._sessions_ended

    async def missing_it_first(self, role):
        looked.append(role)
        return 0 if len(looked) == 1 else await really(self, role)

    monkeypatch.setattr(type(bench.issuer._ending), "_sessions_ended", missing_it_first)
    assert (await bench.issuer.revoke(credential.lease)).sessions_cut == 1
    with pytest.raises(ENDED):
        await connection.fetch("SELECT 1")
    connection.terminate()


@pytest.mark.requirement("PG-08")
async def test_two_brokers_at_once_on_the_same_tables_make_and_end_all_of_theirs(server):
    brokers = [PostgresBench(server, built(server)) for _ in range(2)]

    async def both(bench, number):
        credential = await bench.issuer.issue(order(number))
        assert await bench.use(credential)
        assert (await bench.issuer.revoke(credential.lease)).is_gone

    async with anyio.create_task_group() as tasks:
        for number in range(24):
            tasks.start_soon(both, brokers[number % 2], 100 + number)
    assert not await brokers[0].issuer.live()
    for bench in brokers:
        await bench.issuer.close()


@pytest.mark.requirement("PG-09")
@pytest.mark.parametrize("off_hours", [-5, 5])
async def test_a_clock_that_is_off_changes_no_end(server, off_hours):
    clock = WallClock(off_hours * 3_600_000)
    bench = PostgresBench(server, built(server, clock=clock))
    wanted = order()
    moved = type(wanted)(name=wanted.name, scope=wanted.scope, expires_at=UnixMillis(clock.now() + 60_000))
    credential = await bench.issuer.issue(moved)
    left = "SELECT extract(epoch FROM rolvaliduntil - now()) FROM pg_roles WHERE rolname LIKE 'ans\\_%'"
    assert 50 < (await server.run(left))[0][0] <= 60
    assert await bench.use(credential)
    await bench.issuer.renew(credential.lease, UnixMillis(clock.now() + 30_000))
    assert 50 < (await server.run(left))[0][0] <= 60, "never shorter"
    await bench.issuer.renew(credential.lease, UnixMillis(clock.now() + 120_000))
    assert 110 < (await server.run(left))[0][0] <= 120
    await bench.issuer.revoke(credential.lease)
    late = type(wanted)(
        name=lease_name(bytes(15) + b"\x08"), scope=wanted.scope, expires_at=UnixMillis(clock.now() - 1)
    )
    assert not await bench.use(await bench.issuer.issue(late))
    await bench.issuer.revoke(late.name)
    await bench.issuer.close()


@pytest.mark.requirement("PG-09")
async def test_the_server_asks_for_the_password_by_scram(bench, server):
    credential = await bench.issuer.issue(order())
    stored = f"SELECT rolpassword FROM pg_authid WHERE rolname = '{credential.account}'"
    assert (await server.run(stored))[0][0].startswith("SCRAM-SHA-256$4096:")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(
            host="127.0.0.1", port=server.port, user=credential.account, password="x" * 64, database="prod"
        )


@pytest.mark.requirement("PG-10")
async def test_names_and_texts_are_one_token_whatever_is_in_them(server):
    chance = random.Random(7)
    alphabet = "'\"\\$;-/*%_ \n\t\r{}()aé☃\U0001f512E\x01\x7f"
    connection = await server.owner()
    for _ in range(300):
        text = "".join(chance.choice(alphabet) for _ in range(chance.randint(1, 15)))
        assert await connection.fetchval(f"SELECT {quoted_text(text)}") == text
        statement = await connection.prepare(f"SELECT 1 AS {quoted_name(text)}")
        assert [one.name for one in statement.get_attributes()] == [text]
    await connection.close()
    for text in ("", "x" * 64, "é" * 32, "a\0"):
        with pytest.raises(ValueError):
            quoted_name(text)
    with pytest.raises(ValueError):
        quoted_text("a\0")

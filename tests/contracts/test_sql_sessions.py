"""What an agent's statement can do in a session of a lease, on a real PostgreSQL and a real MariaDB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from answerable.core.canonical import JSONValue
from answerable.errors import Unavailable
from tests.probes.waiting import until
from tests.worlds.sql import ask, on_each, rows, said, servers, session
from tests.worlds.sql_bench import table

pytestmark = [pytest.mark.anyio]


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """In what the claims of this file are told to a server.

    executed: what `execute` lets begin. sleep: a statement, with the seconds. sleeping: asks for those of leases.
    is_cancelled_at_once: whether a cancelled statement is over when its caller goes on. several, late: what a refusal
    of several statements and one of a statement past its time have in them. left: what a session could leave to the
    next action, its own limits included; look: asks for that, and nothing: the answer where it is gone.
    """

    executed: str
    sleep: str
    sleeping: str
    is_cancelled_at_once: bool
    sessions_cut_max: int
    several: str
    late: tuple[str, ...]
    left: tuple[str, ...]
    look: str
    nothing: list[JSONValue]
    update_returns: tuple[str, ...]
    long_rows: str


DIALECTS = {
    "postgres": Dialect(
        executed="SELECT 1",
        sleep="SELECT pg_sleep({})",
        sleeping="SELECT 1 FROM pg_stat_activity WHERE usename LIKE 'ans\\_%' AND wait_event = 'PgSleep'",
        is_cancelled_at_once=True,
        sessions_cut_max=1,
        several="42601",
        late=("57014",),
        left=(
            "SELECT pg_advisory_lock(7), set_config('search_path', 'nowhere', false)",
            "SELECT set_config('answerable.left', 'here', false)",
            "SELECT set_config('statement_timeout', '0', false)",
        ),
        look=(
            "SELECT nullif(current_setting('answerable.left', true), ''),"
            " replace(current_setting('search_path'), '\"', ''),"
            " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')"
        ),
        nothing=[None, "pg_catalog, public, pg_temp", 0],
        update_returns=("", " RETURNING id"),
        long_rows="SELECT repeat('x', 9000) FROM generate_series(1, 5)",
    ),
    "mariadb": Dialect(
        executed="DELETE FROM cases WHERE id = 0",
        sleep="SELECT SLEEP({}) FROM customers",
        sleeping=(
            "SELECT ID FROM information_schema.PROCESSLIST"
            " WHERE INFO LIKE '%SLEEP(30)%' AND USER LIKE 'ans\\_%'"
        ),
        is_cancelled_at_once=False,
        sessions_cut_max=3,
        several="(1064)",
        late=("(1969)", "(3024)"),
        left=("SELECT @left := 5, GET_LOCK('left', 0)",),
        look="SELECT @left, IS_FREE_LOCK('left')",
        nothing=[None, 1],
        update_returns=("",),
        long_rows="SELECT REPEAT('x', 9000) FROM customers LIMIT 5",
    ),
}


@pytest.fixture(scope="module")
def server_of():
    with servers() as running:
        yield running


@pytest.fixture
def server(database, server_of):
    return server_of(database)


@pytest.fixture
def dialect(database):
    return DIALECTS[database.name]


@pytest.fixture
async def bench(database, server):
    async with database.world.bench_on(server, bytes_max=20_000) as opened:
        yield opened


async def customers_left(database, server):
    return (await server.run("SELECT count(*) FROM customers", database=database.home))[0][0]


@pytest.mark.parametrize(
    "more",
    [
        "; DROP TABLE customers",
        "; DELETE FROM customers",
        "; COMMIT; DELETE FROM customers",
        "; TRUNCATE customers",
        ";;SELECT 2",
    ],
)
@on_each(
    postgres=pytest.mark.requirement("PG-03"),
    mariadb=pytest.mark.requirement("MARIADB-03"),
)
async def test_trap_several_statements_in_one_text_are_a_syntax_error(bench, database, dialect, server, more):
    async with session(bench, database.world.order(of=database.writing())) as opened:
        for tool, first in (("query", "SELECT 1"), ("execute", dialect.executed)):
            done = await ask(opened, tool, first + more)
            assert done.result["isError"]
            assert dialect.several in said(done)
    assert await customers_left(database, server) == 50


@on_each(
    postgres=pytest.mark.requirement("PG-04"),
    mariadb=pytest.mark.requirement("MARIADB-04"),
)
async def test_rows_and_bytes_are_bounded_and_the_cut_is_said(bench, database, dialect):
    async with session(bench, database.world.order(of=database.reading(rowsMax=10))) as opened:
        done = await ask(opened, "query", "SELECT id FROM customers ORDER BY id")
        assert [row[0] for row in rows(done)] == list(range(1, 11))
        assert done.result["structuredContent"]["cut"]
        assert "10 rows" in done.result["structuredContent"]["cutBecause"]
        done = await ask(opened, "query", "SELECT id FROM customers ORDER BY id LIMIT 10")
        assert not done.result["structuredContent"]["cut"]
        done = await ask(opened, "query", dialect.long_rows)
        assert len(rows(done)) == 2
        assert "20000 bytes" in said(done)


@on_each(
    postgres=pytest.mark.requirement("PG-04"),
    mariadb=pytest.mark.requirement("MARIADB-04"),
)
async def test_what_would_change_more_rows_than_granted_changes_none(bench, database, dialect, server):
    changing = table(database.customers, "select", "insert", "update", "delete")
    updates = [f"UPDATE customers SET region = 'x'{returning}" for returning in dialect.update_returns]
    few = database.world.scope(tables=[changing], rowsMax=10)
    async with session(bench, database.world.order(of=few)) as opened:
        for sql in (*updates, "DELETE FROM customers", "DELETE FROM customers RETURNING id"):
            done = await ask(opened, "execute", sql)
            assert done.result["isError"], sql
            assert "nothing was changed" in said(done)
        insert = f"INSERT INTO customers VALUES (99, {database.value}, 'eu') RETURNING name"
        done = await ask(opened, "execute", insert, "b")
        assert (rows(done), done.result["structuredContent"]["changed"]) == ([["b"]], 1)
        done = await ask(opened, "execute", "DELETE FROM customers WHERE id = 99")
        assert done.result["structuredContent"]["changed"] == 1
        for region, returning in zip(("us", "as"), dialect.update_returns, strict=False):
            some = f"UPDATE customers SET region = '{region}' WHERE id <= {database.value}{returning}"
            done = await ask(opened, "execute", some, 3)
            assert done.result["structuredContent"]["changed"] == 3
            assert len(rows(done)) == (3 if returning else 0)
        done = await ask(opened, "execute", "UPDATE customers SET region = 'eu' WHERE id <= 3")
        assert done.result["structuredContent"]["changed"] == 3
    assert await customers_left(database, server) == 50
    others = "SELECT count(*) FROM customers WHERE region <> 'eu'"
    assert (await server.run(others, database=database.home))[0][0] == 0


async def nothing_is_left(opened: Any, dialect: Dialect) -> bool:
    """What a session set is never seen; its lock is free once the server has seen its end."""
    (found,) = rows(await ask(opened, "query", dialect.look))
    assert found[:-1] == dialect.nothing[:-1]
    return bool(found == dialect.nothing)


@on_each(
    postgres=pytest.mark.requirement("PG-03"),
    mariadb=pytest.mark.requirement("MARIADB-04"),
)
async def test_trap_a_statement_ends_when_its_time_is_up_whatever_a_session_set_for_itself(
    bench, database, dialect
):
    async with session(bench, database.world.order(of=database.reading(seconds=1))) as opened:
        for sql in dialect.left:
            assert len(rows(await ask(opened, "query", sql))) == 1
        done = await ask(opened, "query", dialect.sleep.format(20))
        assert done.result["isError"]
        assert any(late in said(done) for late in dialect.late)
        await until(lambda: nothing_is_left(opened, dialect))


@on_each(
    postgres=pytest.mark.requirement("PG-05"),
    mariadb=pytest.mark.requirement("MARIADB-05"),
)
async def test_nothing_that_one_action_left_in_a_session_reaches_the_next(bench, database, dialect):
    async with session(bench, database.world.order(of=database.reading())) as opened:
        for sql in dialect.left:
            assert len(rows(await ask(opened, "query", sql))) == 1
        await until(lambda: nothing_is_left(opened, dialect))


@on_each(
    postgres=pytest.mark.requirement("PG-04"),
    mariadb=pytest.mark.requirement("MARIADB-04"),
)
async def test_what_is_cancelled_stops_at_the_server_and_the_session_goes_on(
    bench, database, dialect, server
):
    async def is_over():
        return not await server.run(dialect.sleeping)

    async with session(bench, database.world.order(of=database.reading())) as opened:
        with anyio.move_on_after(0.3):
            await ask(opened, "query", dialect.sleep.format(30))
        if dialect.is_cancelled_at_once:
            assert await is_over()
        await until(is_over)
        assert rows(await ask(opened, "query", "SELECT 1")) == [[1]]


@on_each(
    postgres=pytest.mark.requirement("PG-04"),
    mariadb=pytest.mark.requirement("MARIADB-04"),
)
async def test_a_session_that_ends_under_a_statement_leaves_its_effect_unknown(
    bench, database, dialect, server
):
    async def revoked_soon():
        await until(lambda: server.run(dialect.sleeping))
        revoked = await bench.issuer.revoke(database.world.order().name)
        assert 1 <= revoked.sessions_cut <= dialect.sessions_cut_max

    async with (
        session(bench, database.world.order(of=database.reading())) as opened,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(revoked_soon)
        with pytest.raises(Unavailable) as caught:
            await ask(opened, "query", dialect.sleep.format(30))
        assert (caught.value.code, caught.value.effect) == ("target.connection", "unknown")


@on_each(
    postgres=pytest.mark.requirement("PG-04"),
    mariadb=pytest.mark.requirement("MARIADB-04"),
)
async def test_a_credential_that_ended_opens_no_session(bench, database):
    credential = await bench.issuer.issue(database.world.order(of=database.reading()))
    await bench.issuer.revoke(credential.lease)
    with pytest.raises(Unavailable) as caught:
        async with bench.target.connected(credential) as opened:
            await ask(opened, "query", "SELECT 1")
    assert (caught.value.code, caught.value.effect) == ("target.connection", "none")

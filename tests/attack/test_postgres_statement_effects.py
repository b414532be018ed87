"""What one statement on PostgreSQL may hide from whoever counts what it changed, or keep although it only reads."""

from __future__ import annotations

import asyncpg
import pytest

from tests.probes.waiting import until
from tests.worlds.postgres import bench_on, furnished_server, order, scope
from tests.worlds.sql_bench import table

pytestmark = [pytest.mark.anyio]

TAG = "aaaaaaaaaaaaaaaaaaaaaaaaae"
CUSTOMERS = "public.customers"
WHOLE = table(CUSTOMERS, "select", "insert", "update", "delete")


@pytest.fixture(scope="module")
def server():
    with furnished_server() as running:
        yield running


@pytest.fixture
async def bench(server):
    async with bench_on(server) as opened:
        yield opened


@pytest.mark.requirement("PG-04")
@pytest.mark.parametrize(
    "sql",
    [
        f"WITH gone AS (DELETE FROM {CUSTOMERS} RETURNING 1) SELECT count(*) FROM gone",
        f"WITH changed AS (UPDATE {CUSTOMERS} SET name = 'x') INSERT INTO {CUSTOMERS} VALUES (1000, 'a', 'b')",
        f"WITH made AS (INSERT INTO {CUSTOMERS} SELECT 2000 + n FROM generate_series(1, 9) n) SELECT 1",
        f"WITH a AS (DELETE FROM {CUSTOMERS} WHERE id < 3), b AS (DELETE FROM {CUSTOMERS} WHERE id IN (4, 5)) SELECT 1",
        f"SELECT count(*) FROM {CUSTOMERS}; DELETE FROM {CUSTOMERS}",
    ],
)
async def test_a_statement_that_hides_how_many_rows_it_changes_changes_none(bench, server, sql):
    credential = await bench.issuer.issue(order(of=scope(tables=[WHOLE], rowsMax=3)))
    owner = await server.owner("prod")
    before = await owner.fetch(f"SELECT * FROM {CUSTOMERS} ORDER BY id")
    async with bench.target.connected(credential) as session:
        done = await session.perform("execute", {"sql": sql}, tag=TAG, seconds_max=10)
        assert done.result["isError"]
    assert await owner.fetch(f"SELECT * FROM {CUSTOMERS} ORDER BY id") == before
    await owner.close()


@pytest.mark.requirement("PG-04")
async def test_what_one_session_changed_before_does_not_count_against_the_next_statement(bench, server):
    credential = await bench.issuer.issue(order(of=scope(tables=[WHOLE], rowsMax=3)))
    async with bench.target.connected(credential) as session:
        for number in range(4):
            sql = f"INSERT INTO {CUSTOMERS} SELECT {3000 + 10 * number} + n FROM generate_series(1, 3) n"
            done = await session.perform("execute", {"sql": sql}, tag=TAG, seconds_max=10)
            assert not done.result["isError"], done.result
    owner = await server.owner("prod")
    assert await owner.execute(f"DELETE FROM {CUSTOMERS} WHERE id >= 3000") == "DELETE 12"
    await owner.close()


@pytest.mark.requirement("PG-03")
async def test_what_reads_sends_no_message_and_keeps_no_large_object(bench, server):
    """Both are everybody's, and a read-only transaction of PostgreSQL 15 lets them through."""
    owner: asyncpg.Connection = await server.owner("prod")
    heard = []
    await owner.add_listener("news", lambda *said: heard.append(said[-1]))
    credential = await bench.issuer.issue(order())
    async with bench.target.connected(credential) as session:
        for sql in ("SELECT pg_notify('news', 'from a read')", "SELECT lo_create(4711)"):
            await session.perform("query", {"sql": sql}, tag=TAG, seconds_max=10)
    await owner.execute("SELECT pg_notify('news', 'from its owner')")
    await until(lambda: heard)
    assert heard == ["from its owner"]
    assert await owner.fetchval("SELECT count(*) FROM pg_largeobject_metadata WHERE oid = 4711") == 0
    await owner.close()

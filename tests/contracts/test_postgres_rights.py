"""What statements used of their scope, as a real PostgreSQL tells by its locks, and that they needed no more."""

from __future__ import annotations

import itertools
from contextlib import asynccontextmanager

import pytest

from answerable.core.canonical import freeze
from tests.worlds.postgres import PostgresBench, bench_on, furnished_server, order, scope
from tests.worlds.sql_bench import table

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("RIGHTS-02")]

ALL = ("select", "insert", "update", "delete")
GRANTED = scope(
    tables=[
        table("public.support_messages", *ALL),
        table("public.customers", *ALL),
        table("public.orders", *ALL),
        table("public.open_messages", "select"),
        table("public.audited", *ALL),
    ],
    sequences=["public.orders_id_seq", "public.support_messages_id_seq"],
)
AT = {"messages": 0, "customers": 1, "orders": 2, "open": 3, "audited": 4}
AUDITED = """
CREATE TABLE audited (id int PRIMARY KEY, note text);
CREATE FUNCTION also_delete() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN DELETE FROM audited WHERE id = NEW.id - 1; RETURN NULL; END $$;
CREATE TRIGGER also AFTER INSERT ON audited FOR EACH ROW EXECUTE FUNCTION also_delete();
"""
WIPING = """
CREATE FUNCTION wipe() RETURNS int LANGUAGE sql VOLATILE AS
  $$ DELETE FROM customers WHERE id = 49; SELECT 1 $$
"""
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server():
    with furnished_server() as running:
        yield running


@pytest.fixture(scope="module")
async def furnished(server):
    connection = await server.owner("prod")
    await connection.execute(f"SET ROLE shop; {AUDITED}")
    await connection.close()


@pytest.fixture
async def bench(server, furnished):
    async with bench_on(server) as opened:
        yield opened


@asynccontextmanager
async def session(bench: PostgresBench, of):
    credential = await bench.issuer.issue(order(next(_numbers), of=of))
    async with bench.target.connected(credential) as opened:
        yield opened


async def done(bench: PostgresBench, of, tool, sql, *parameters):
    """What came of it, and what was used."""
    arguments = {"sql": sql, "parameters": [*parameters]} if sql else {}
    async with session(bench, of) as opened:
        performed = await opened.perform(tool, arguments, tag="", seconds_max=5)
    return performed, bench.rights.used(of, tool, arguments, performed.told)


def places(*said: str) -> set[str]:
    """Of `messages.select` and the like."""
    pairs = [one.split(".") for one in said]
    return {f"tables/{AT[name]}/{verb}" for name, verb in pairs}


CASES = [
    ("query", "SELECT body FROM support_messages WHERE id = 1", {"messages.select"}, set()),
    ("query", "SELECT count(*) FROM customers", {"customers.select"}, set()),
    ("query", "SELECT 1", set(), set()),
    ("query", "SELECT name FROM customers WHERE false", {"customers.select"}, set()),
    (
        "query",
        "SELECT o.id FROM orders o LEFT JOIN customers c ON c.id = o.customer_id",
        {"orders.select", "customers.select"},
        set(),
    ),
    ("query", "SELECT body FROM open_messages", {"open.select", "messages.select"}, set()),
    ("query", "EXPLAIN SELECT * FROM customers", {"customers.select"}, set()),
    ("execute", "UPDATE customers SET name = 'x' WHERE id = 1", {"customers.update"}, {"customers.select"}),
    ("execute", "DELETE FROM orders WHERE id = 0", {"orders.delete"}, {"orders.select"}),
    ("execute", "UPDATE customers SET name = 'x' WHERE false", {"customers.update"}, {"customers.select"}),
    ("execute", "INSERT INTO customers (id, name) VALUES ($1, 'n')", {"customers.insert"}, set()),
    (
        "execute",
        "INSERT INTO customers (id, name) VALUES ($1, 'n') RETURNING name",
        {"customers.insert"},
        {"customers.select"},
    ),
    (
        "execute",
        "INSERT INTO customers (id, name) VALUES ($1, 'n') ON CONFLICT (id) DO UPDATE SET name = 'again'",
        {"customers.insert"},
        {"customers.select", "customers.update"},
    ),
    (
        "execute",
        "INSERT INTO customers (id, name) SELECT $1::int, name FROM customers WHERE id = 1",
        {"customers.insert", "customers.select"},
        set(),
    ),
    (
        "execute",
        "SELECT 1 FROM customers WHERE id = 1 FOR UPDATE",
        set(),
        {"customers.select", "customers.update"},
    ),
    (
        "execute",
        "WITH gone AS (DELETE FROM orders WHERE id = 0 RETURNING id) SELECT * FROM gone",
        set(),
        {f"orders.{verb}" for verb in ALL},
    ),
    ("execute", "INSERT INTO audited VALUES ($1, 'n')", set(), {f"audited.{verb}" for verb in ALL}),
]


@pytest.mark.parametrize(("tool", "sql", "sure", "unsure"), CASES, ids=[case[1][:60] for case in CASES])
async def test_a_statement_used_what_it_needed_and_with_that_alone_it_succeeds(
    bench, tool, sql, sure, unsure
):
    def parameters():
        return [1000 + next(_numbers)] if "$1" in sql else []

    performed, used = await done(bench, GRANTED, tool, sql, *parameters())
    assert not performed.result["isError"], performed.result
    assert used is not None
    assert used.sure == places(*sure)
    assert used.unsure == places(*unsure)
    grants = bench.rights.narrowed(GRANTED.thaw(), used.all)
    if not used.all:
        assert grants is None
        return
    less = freeze(grants)
    assert bench.issuer.faults(less) == ()
    again, used_again = await done(bench, less, tool, sql, *parameters())
    assert not again.result["isError"], again.result
    assert used_again is not None
    assert {right.text for right in bench.rights.rights(grants) if right.is_told} >= {
        right.text for right in bench.rights.rights(grants) if right.place in used_again.all
    }


async def test_a_foreign_key_and_a_number_of_a_sequence_are_told_of(bench):
    performed, used = await done(
        bench, GRANTED, "execute", "INSERT INTO orders (customer_id, total) VALUES (1, 5)"
    )
    assert not performed.result["isError"], performed.result
    assert used.sure == places("orders.insert")
    assert used.unsure == {*places("customers.select", "customers.update"), "sequences/0"}


async def test_where_a_function_may_write_by_itself_no_verb_is_told_apart(server, bench):
    connection = await server.owner("prod")
    await connection.execute(f"SET ROLE shop; {WIPING}")
    await connection.close()
    try:
        performed, used = await done(
            bench, GRANTED, "execute", "UPDATE customers SET region = 'eu' WHERE id = wipe()"
        )
        assert not performed.result["isError"], performed.result
        assert used.all >= places(*(f"customers.{verb}" for verb in ALL))
    finally:
        connection = await server.owner("prod")
        await connection.execute("DROP FUNCTION wipe()")
        await connection.close()


async def test_columns_are_never_said_to_be_unused(bench):
    grants = scope(tables=[table("public.customers", "select", columns=["id", "name", "region"])]).thaw()
    rights = bench.rights.rights(grants)
    assert [(right.text, right.is_told) for right in rights] == [
        ("select on public.customers", True),
        ("column id of public.customers", False),
        ("column name of public.customers", False),
        ("column region of public.customers", False),
    ]
    assert bench.rights.narrowed(grants, {"tables/0/select"}) == grants


async def test_a_session_that_hides_a_table_behind_its_search_path_hides_nothing(bench):
    sql = "SELECT set_config('search_path', 'pg_temp', false), name FROM public.customers LIMIT 1"
    performed, used = await done(bench, GRANTED, "query", sql)
    assert not performed.result["isError"], performed.result
    assert used.sure == places("customers.select")


async def test_what_cannot_be_told_is_unknown(bench):
    sql = {"sql": "SELECT 1"}
    for told in (None, {}, {"locked": None}, {"locked": ["x"], "verb": "select", "more": False}):
        assert bench.rights.used(GRANTED, "query", sql, told) is None


async def test_a_statement_that_touches_more_than_the_server_is_asked_for_does_not_tell(server, bench):
    connection = await server.owner("prod")
    await connection.execute("SET ROLE shop; CREATE TABLE many (id int, at int) PARTITION BY LIST (at)")
    for number in range(401):
        await connection.execute(f"CREATE TABLE many_{number} PARTITION OF many FOR VALUES IN ({number})")
    await connection.close()
    granted = scope(tables=[table("public.many", "select")])
    performed, used = await done(bench, granted, "query", "SELECT id FROM many")
    assert not performed.result["isError"], performed.result
    assert used is None


async def test_listing_tables_uses_nothing(bench):
    _, used = await done(bench, GRANTED, "list_tables", "")
    assert used.all == frozenset()

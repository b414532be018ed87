"""What a lease on PostgreSQL could get hold of beside its scope, tried on a real server."""

from __future__ import annotations

import asyncpg
import pytest

from answerable.core.canonical import JSONValue
from answerable.errors import Refused
from tests.worlds.postgres import (
    PostgresBench,
    bench_on,
    built,
    furnished_server,
    order,
    scope,
)
from tests.worlds.sql_bench import table

pytestmark = [pytest.mark.anyio]

TAG = "aaaaaaaaaaaaaaaaaaaaaaaaae"
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


async def refused_for(bench, odd):
    with pytest.raises(Refused) as caught:
        await bench.issuer.issue(order(of=odd))
    assert caught.value.code == "lease.scope"
    assert not await bench.issuer.live()
    return "; ".join(caught.value.reasons)


@pytest.mark.requirement("PG-06")
async def test_rows_of_another_case_are_neither_seen_changed_made_nor_moved(bench, server):
    whole = scope(
        tables=[table(MESSAGES, "select", "insert", "update", "delete", rows=CASE)],
        sequences=[f"{MESSAGES}_id_seq"],
    )
    credential = await bench.issuer.issue(order(of=whole))
    connection = await bench.connect(credential)
    assert {row[0] for row in await connection.fetch(f"SELECT case_id FROM {MESSAGES}")} == {"case-1"}
    assert (
        await connection.execute(f"UPDATE {MESSAGES} SET body = 'x' WHERE case_id = 'case-2'") == "UPDATE 0"
    )
    assert await connection.execute(f"DELETE FROM {MESSAGES} WHERE case_id <> 'case-1'") == "DELETE 0"
    for sql in (
        f"INSERT INTO {MESSAGES} (case_id, body) VALUES ('case-2', 'x')",
        f"UPDATE {MESSAGES} SET case_id = 'case-2'",
        f"INSERT INTO {MESSAGES} (id, case_id) VALUES (1, 'case-1') ON CONFLICT (id) DO UPDATE SET case_id = 'case-2'",
    ):
        with pytest.raises(asyncpg.PostgresError):
            await connection.execute(sql)
    made = f"INSERT INTO {MESSAGES} (case_id, body) VALUES ('case-1', 'mine') RETURNING id"
    new = await connection.fetchval(made)
    assert await connection.execute(f"DELETE FROM {MESSAGES} WHERE id = {new}") == "DELETE 1"
    await connection.close()


@pytest.mark.requirement("PG-06")
async def test_an_update_without_where_stays_within_its_rows(bench, server):
    writing = scope(tables=[table(MESSAGES, "update", columns=["secret_note"], rows=CASE)])
    credential = await bench.issuer.issue(order(of=writing))
    connection = await bench.connect(credential)
    assert await connection.execute(f"UPDATE {MESSAGES} SET secret_note = 'seen'") == "UPDATE 10"
    await connection.close()


@pytest.mark.requirement("PG-06")
async def test_a_rule_about_rows_that_would_not_hold_is_refused_with_what_to_run(bench, server):
    rows: JSONValue = {"column": "id", "equals": "1"}
    off = await refused_for(bench, scope(tables=[table("public.customers", "select", rows=rows)]))
    assert 'ALTER TABLE "public"."customers" ENABLE ROW LEVEL SECURITY' in off
    view = await refused_for(bench, scope(tables=[table("public.open_messages", "select", rows=rows)]))
    assert "is a view" in view
    no_value = scope(tables=[table(MESSAGES, "select", rows={"column": "id", "equals": "x"})])
    assert "invalid input syntax" in await refused_for(bench, no_value)
    await server.run(
        "CREATE TABLE foreign_made (id int); ALTER TABLE foreign_made ENABLE ROW LEVEL SECURITY;", "prod"
    )
    theirs = await refused_for(bench, scope(tables=[table("public.foreign_made", "select", rows=rows)]))
    assert "made by its owner" in theirs
    await server.run("DROP TABLE foreign_made;", "prod")


@pytest.mark.requirement("PG-06")
async def test_partitions_and_children_are_reached_through_the_granted_table_alone(bench, server):
    await server.run(
        "SET ROLE shop; CREATE TABLE parted (case_id text, body text) PARTITION BY LIST (case_id);"
        "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN ('case-1');"
        "CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN ('case-2');"
        "INSERT INTO parted VALUES ('case-1', 'a'), ('case-2', 'b'); ALTER TABLE parted ENABLE ROW LEVEL SECURITY;",
        "prod",
    )
    credential = await bench.issuer.issue(
        order(of=scope(tables=[table("public.parted", "select", rows=CASE)]))
    )
    connection = await bench.connect(credential)
    assert [row[0] for row in await connection.fetch("SELECT body FROM parted")] == ["a"]
    await connection.close()
    for part in ("parted_1", "parted_2"):
        assert not await bench.lets(credential, f"SELECT * FROM {part}")
    await bench.issuer.revoke(credential.lease)
    await server.run("DROP TABLE parted;", "prod")


@pytest.mark.requirement("PG-07")
async def test_where_everybody_may_create_nothing_is_granted_unless_the_settings_say_so(bench, server):
    await server.run("GRANT CREATE ON SCHEMA public TO PUBLIC;", "prod")
    try:
        assert "REVOKE CREATE ON SCHEMA" in await refused_for(bench, scope())
        lax = PostgresBench(server, built(server, may_public_create=True))
        credential = await lax.issuer.issue(order())
        assert "prod: PUBLIC: create in schema public" in await lax.issuer.granted(credential.lease)
        # A function of the lease must not become one of the broker or of anybody.
        assert await lax.lets(
            credential,
            "CREATE FUNCTION public.lower2(text) RETURNS text SECURITY DEFINER LANGUAGE sql AS 'SELECT $1';"
            "CREATE TABLE public.hoard AS SELECT body FROM public.support_messages",
        )
        assert (await lax.issuer.revoke(credential.lease)).is_gone
        left = (
            "SELECT proname FROM pg_proc WHERE proname = 'lower2'"
            " UNION SELECT relname FROM pg_class WHERE relname = 'hoard'"
        )
        assert not await server.run(left, "prod")
        await lax.issuer.close()
    finally:
        await server.run("REVOKE CREATE ON SCHEMA public FROM PUBLIC;", "prod")


@pytest.mark.requirement("PG-07")
async def test_what_the_server_says_is_granted_names_every_right_and_what_everybody_has(bench, server):
    await server.run("CREATE TABLE open_to_all (id int); GRANT SELECT ON open_to_all TO PUBLIC;", "prod")
    credential = await bench.issuer.issue(order())
    granted = await bench.issuer.granted(credential.lease)
    assert "prod: select on public.support_messages (id, body)" in granted
    assert (
        "prod: rows limited on public.support_messages for select where (case_id = 'case-1'::text)" in granted
    )
    assert "prod: PUBLIC: connect to database staging" in granted
    assert "prod: PUBLIC: select on public.open_to_all" in granted
    ours = [line for line in granted if "PUBLIC" not in line]
    assert len(ours) == 3, ours
    await server.run("DROP TABLE open_to_all;", "prod")


@pytest.mark.requirement("PG-07")
async def test_what_the_brokers_own_account_may_not_grant_is_not_minted_silently(bench, server):
    """PostgreSQL answers a grant without grant option by a warning, and grants nothing."""
    await server.run("CREATE TABLE lent (id int, body text); GRANT SELECT ON lent TO answerable;", "prod")
    lent = scope(tables=[table("public.lent", "select")])
    assert "WITH GRANT OPTION" in await refused_for(bench, lent)
    await server.run("CREATE TABLE hidden (id int);", "prod")
    assert "may not grant" in await refused_for(bench, scope(tables=[table("public.hidden", "select")]))
    await server.run("GRANT SELECT ON lent TO answerable WITH GRANT OPTION;", "prod")
    credential = await bench.issuer.issue(order(of=lent))
    assert await bench.lets(credential, "SELECT * FROM public.lent")
    assert (await bench.issuer.revoke(credential.lease)).is_gone
    await server.run("DROP TABLE lent; DROP TABLE hidden;", "prod")


@pytest.mark.requirement("PG-07")
@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({"database": "postgres"}, "prod, staging"),
        ({"rowsMax": 0}, "rowsMax"),
        ({"rowsMax": 10**9}, "rowsMax"),
        ({"seconds": True}, "seconds"),
        ({"tables": []}, "tables"),
        ({"sequences": ["public.customers"]}, "no sequence"),
        ({"tables": [table(MESSAGES, "select"), table(MESSAGES, "select", columns=["id"])]}, "granted twice"),
    ],
)
async def test_a_scope_past_the_settings_is_refused_in_words(bench, changed, wanted):
    assert wanted in await refused_for(bench, scope(**changed))

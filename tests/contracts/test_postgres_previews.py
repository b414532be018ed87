"""What a statement would do on PostgreSQL, told by its planner to the role of the lease, and by nothing that runs."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from answerable.adapters.postgres_roles.plan import plan_told
from answerable.errors import Refused
from tests.worlds.postgres import bench_on, furnished_server, order, scope
from tests.worlds.sql_bench import table

pytestmark = [pytest.mark.anyio]

TAG = "aaaaaaaaaaaaaaaaaaaaaaaaae"
CUSTOMERS = "public.customers"
WHOLE = table(CUSTOMERS, "select", "insert", "update", "delete")
# As their owner made them: the planner takes them at their word and evaluates them.
FUNCTIONS = """
CREATE FUNCTION volatile_writes() RETURNS int LANGUAGE plpgsql VOLATILE SECURITY DEFINER
  AS $$ BEGIN INSERT INTO public.customers VALUES (7000, 'run', 'x'); RETURN 1; END $$;
CREATE FUNCTION writes(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE
  AS $$ BEGIN PERFORM public.volatile_writes(); RETURN n; END $$;
CREATE FUNCTION sleeps(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE
  AS $$ BEGIN PERFORM pg_catalog.pg_sleep(n); RETURN n; END $$;
"""


@pytest.fixture(scope="module")
def server():
    with furnished_server() as running:
        asyncio.run(_with_functions(running))
        yield running


async def _with_functions(server: Any) -> None:
    owner = await server.owner("prod")
    await owner.execute(f"SET ROLE shop; {FUNCTIONS}")
    await owner.execute("RESET ROLE; ANALYZE")
    await owner.close()


@pytest.fixture
async def bench(server):
    async with bench_on(server) as opened:
        yield opened


async def explained(bench: Any, sql: str, *parameters: Any, of: Any = None) -> Any:
    credential = await bench.issuer.issue(order(of=of or scope(tables=[WHOLE], seconds=20)))
    async with bench.target.connected(credential) as session:
        arguments = {"sql": sql, "parameters": [*parameters]}
        done = await session.perform("explain", arguments, tag=TAG, seconds_max=20)
    await bench.issuer.revoke(credential.lease)
    return done


async def rows_of(server: Any) -> list[Any]:
    owner = await server.owner("prod")
    try:
        return [tuple(one) for one in await owner.fetch(f"SELECT * FROM {CUSTOMERS} ORDER BY id")]
    finally:
        await owner.close()


@pytest.mark.requirement("PREVIEW-07")
@pytest.mark.parametrize(
    ("sql", "parameters", "changes", "rows"),
    [
        (f"UPDATE {CUSTOMERS} SET name = 'x' WHERE id <= $1", (20,), [("update", CUSTOMERS)], (10, 30)),
        (f"DELETE FROM {CUSTOMERS}", (), [("delete", CUSTOMERS)], (50, 50)),
        (f"DELETE FROM {CUSTOMERS} WHERE id = $1", (3,), [("delete", CUSTOMERS)], (1, 1)),
        (f"INSERT INTO {CUSTOMERS} VALUES ($1, 'a', 'b')", (90,), [("insert", CUSTOMERS)], (1, 1)),
        (f"SELECT name FROM {CUSTOMERS}", (), [], (50, 50)),
        (
            f"WITH gone AS (DELETE FROM {CUSTOMERS} RETURNING id) UPDATE {CUSTOMERS} SET name = 'y' WHERE id = 1",
            (),
            [("update", CUSTOMERS), ("delete", CUSTOMERS)],
            (51, 51),
        ),
    ],
)
async def test_the_planner_tells_the_tables_and_about_how_many_rows_and_changes_none(
    bench, server, sql, parameters, changes, rows
):
    before = await rows_of(server)
    done = await explained(bench, sql, *parameters)
    told = done.result["structuredContent"]
    assert not done.result["isError"], done.result
    assert [(one["operation"], one["table"]) for one in told.get("changes", [])] == changes
    assert rows[0] <= told["rows"] <= rows[1], told
    assert told["estimate"] is True
    assert await rows_of(server) == before
    assert done.session[0][0] == "pg_session"


@pytest.mark.requirement("PREVIEW-07")
@pytest.mark.parametrize(
    ("sql", "code"),
    [
        (f"SELECT 1; DELETE FROM {CUSTOMERS}", "42601"),
        (f"COPY {CUSTOMERS} TO PROGRAM 'cat'", ""),
        (f"ANALYZE DELETE FROM {CUSTOMERS}", ""),
        (f"EXPLAIN ANALYZE DELETE FROM {CUSTOMERS}", ""),
        (f"(ANALYZE) DELETE FROM {CUSTOMERS}", ""),
        (f"/* */ (ANALYZE TRUE) DELETE FROM {CUSTOMERS}", ""),
        ("DO $$ BEGIN DELETE FROM customers; END $$", ""),
        ("CALL x()", ""),
        ("COMMIT", ""),
        ("SELECT * FROM public.integration_tokens", "42501"),
        ("SELECT writes(6000)", "25006"),
        (f"UPDATE {CUSTOMERS} SET name = 'x' WHERE id = writes(6001)", "25006"),
        ("SELECT 1 WHERE sleeps(8) = 1", "57014"),
    ],
)
async def test_what_is_no_plain_statement_or_acts_while_it_is_planned_has_no_effect(bench, server, sql, code):
    before = await rows_of(server)
    if code:
        done = await explained(bench, sql)
        assert done.result["isError"], done.result
        assert code in done.result["content"][0]["text"]
    else:
        with pytest.raises(Refused) as refused:
            await explained(bench, sql)
        assert refused.value.code == "target.arguments"
    assert await rows_of(server) == before


@pytest.mark.requirement("PREVIEW-07")
async def test_what_only_runs_when_it_is_run_is_not_run(bench, server):
    before = await rows_of(server)
    done = await explained(bench, "SELECT volatile_writes()")
    assert not done.result["isError"], done.result
    assert await rows_of(server) == before


@pytest.mark.requirement("PREVIEW-07")
async def test_the_planner_is_asked_as_the_role_of_the_lease_whose_rows_alone_it_counts(bench):
    done = await explained(bench, "SELECT id, body FROM public.support_messages", of=scope())
    told = done.result["structuredContent"]
    assert told["reads"] == ["public.support_messages"]
    assert told["rows"] < 50, "the rule about rows of the lease is in the plan"
    other = await explained(bench, "SELECT secret_note FROM public.support_messages", of=scope())
    assert "42501" in other.result["content"][0]["text"]


@pytest.mark.requirement("PREVIEW-07")
@pytest.mark.parametrize(
    "text",
    ["", "no json", "[]", "{}", "[1]", '[{"Plan": 1}]', '[{"Plan": {}}]', '[{"Plan": {"Plan Rows": "x"}}]'],
)
def test_what_is_no_plan_is_told_as_none(text):
    assert plan_told(text) is None


@pytest.mark.requirement("PREVIEW-07")
def test_a_plan_of_many_parts_is_told_in_bounds():
    scans = [
        {"Node Type": "Seq Scan", "Relation Name": f"t{number}", "Plan Rows": 1} for number in range(500)
    ]
    root = {"Node Type": "Append", "Plan Rows": 500, "Plans": scans}
    told = plan_told(json.dumps([{"Plan": root}]))
    assert told is not None
    assert (told["rows"], len(told["reads"]), told["more_tables"]) == (500, 20, 480)

"""What an agent asks of a PostgreSQL or MariaDB target: arguments, values, and what it is told that it may use."""

from __future__ import annotations

import json

import jsonschema_rs
import pytest

from answerable.errors import Refused
from tests.worlds.sql import TAG, ask, on_each, rows, said, servers, session

pytestmark = [pytest.mark.anyio]


@pytest.fixture(scope="module")
def server_of():
    with servers() as running:
        yield running


@pytest.fixture
def server(database, server_of):
    return server_of(database)


@pytest.fixture
async def bench(database, server):
    async with database.world.bench_on(server, bytes_max=20_000) as opened:
        yield opened


HOSTILE = ("x'; DELETE FROM customers; --", "\\", "\\'", "`", "☃\U0001f512", "", "%s", "$1")


@on_each(
    postgres=pytest.mark.requirement("PG-02", "BROKER-22"),
    mariadb=pytest.mark.requirement("MARIADB-02", "BROKER-22"),
)
async def test_what_an_agent_asks_is_answered_with_its_values_apart(bench, database):
    async with session(bench, database.world.order(of=database.reading())) as opened:
        done = await ask(opened, "query", f"SELECT id, name FROM customers WHERE id = {database.value}", 7)
        assert rows(done) == [[7, "customer 7"]]
        assert done.result["structuredContent"]["columns"] == ["id", "name"]
        assert json.loads(said(done)) == done.result["structuredContent"], "for clients that show text alone"
        for hostile in HOSTILE:
            assert rows(await ask(opened, "query", f"SELECT {database.text}", hostile)) == [[hostile]]
        named = f"SELECT name FROM customers WHERE name = {database.value}"
        assert rows(await ask(opened, "query", named, "customer 3")) == [["customer 3"]]


VALUES = {
    "postgres": [
        ("SELECT $1::int8", 9_007_199_254_740_993, "9007199254740993"),
        ("SELECT $1::int4", 5, 5),
        ("SELECT $1::numeric", "1.10", "1.10"),
        ("SELECT $1::numeric", 2, "2"),
        ("SELECT $1::float8", 1.5, 1.5),
        ("SELECT $1::bool", True, True),
        ("SELECT $1::date", "2026-11-28", "2026-11-28"),
        ("SELECT $1::timestamptz", "2026-11-28T01:02:03+00:00", "2026-11-28T01:02:03+00:00"),
        ("SELECT $1::timestamp", "2026-11-28T01:02:03", "2026-11-28T01:02:03"),
        ("SELECT $1::time", "01:02:03", "01:02:03"),
        ("SELECT $1::uuid", "9f3a0d5e-0000-4000-8000-000000000001", "9f3a0d5e-0000-4000-8000-000000000001"),
        ("SELECT $1::bytea", "00ff", "00ff"),
        ("SELECT $1::jsonb", {"a": [1]}, '{"a": [1]}'),
        ("SELECT $1::text[]", ["a", "b"], ["a", "b"]),
        ("SELECT $1::inet", "10.0.0.1", "10.0.0.1"),
        ("SELECT $1::text", None, None),
    ],
    "mariadb": [
        ("SELECT ?", 5, 5),
        ("SELECT ?", 9_007_199_254_740_993, "9007199254740993"),
        ("SELECT ?", 2**64 - 1, str(2**64 - 1)),
        ("SELECT ?", -(2**63), str(-(2**63))),
        ("SELECT ? + 0e0", 1.5, 1.5),
        ("SELECT ?", True, 1),
        ("SELECT ?", None, None),
        ("SELECT CAST(? AS DECIMAL(10, 2))", "1.10", "1.10"),
        ("SELECT CAST(? AS DATE)", "2026-11-28", "2026-11-28"),
        ("SELECT CAST(? AS DATETIME)", "2026-11-28 01:02:03", "2026-11-28T01:02:03"),
        ("SELECT CAST(? AS TIME)", "01:02:03", "3723.000000 s"),
        ("SELECT JSON_EXTRACT(?, '$.a')", {"a": [1]}, "[1]"),
        ("SELECT UNHEX(?)", "00ff", "00ff"),
    ],
}


@on_each(
    postgres=pytest.mark.requirement("PG-02"),
    mariadb=pytest.mark.requirement("MARIADB-02"),
    names=("sql", "value", "shown"),
    cases=VALUES,
)
async def test_values_of_every_common_type_go_in_and_come_out(bench, database, sql, value, shown):
    async with session(bench, database.world.order(of=database.reading())) as opened:
        assert rows(await ask(opened, "query", sql, value)) == [[shown]]


NO_ARGUMENTS = [
    ("drop", {"sql": "SELECT 1"}, "no tool"),
    ("query", {}, "`sql`"),
    ("query", {"sql": ""}, "`sql`"),
    ("query", {"sql": "SELECT 1", "parameters": "x"}, "list"),
    ("query", {"sql": "SELECT 1", "timeout": 5}, "unknown argument"),
    ("query", {"sql": "DELETE FROM customers"}, "`DELETE` is nothing that `query` runs"),
    ("execute", {"sql": "COMMIT"}, "`COMMIT`"),
    ("list_tables", {"sql": "SELECT 1"}, "unknown argument"),
]
REFUSED_ARGUMENTS = {
    "postgres": [
        *NO_ARGUMENTS,
        ("query", {"sql": "SELECT 1\0"}, "NUL"),
        ("query", {"sql": "SELECT $1::int", "parameters": []}, "1 parameters"),
        ("query", {"sql": "SELECT $1::int", "parameters": ["x"]}, "parameter"),
        ("query", {"sql": "SELECT $1::int", "parameters": [2**70]}, "parameter"),
        ("query", {"sql": "SELECT $1::date", "parameters": ["soon"]}, "$1"),
        ("query", {"sql": "SELECT $1::text", "parameters": [["a"]]}, "$1"),
        ("query", {"sql": "/* SELECT */ -- SELECT\n COPY customers TO STDOUT"}, "`COPY`"),
        ("execute", {"sql": "PREPARE TRANSACTION 'x'"}, "`PREPARE`"),
        ("execute", {"sql": "LISTEN x"}, "`LISTEN`"),
        ("execute", {"sql": "SET ROLE shop"}, "`SET`"),
    ],
    "mariadb": [
        *NO_ARGUMENTS,
        ("query", {"sql": "SELECT ?", "parameters": [2**70]}, "value 1"),
        ("query", {"sql": "SELECT ?", "parameters": ["\ud800"]}, "value 1"),
        ("query", {"sql": "SELECT '\ud800'"}, "characters"),
        ("query", {"sql": "SET STATEMENT max_statement_time = 0 FOR SELECT SLEEP(9)"}, "`SET`"),
        ("query", {"sql": "/*! DELETE FROM customers */"}, "nothing that"),
        ("query", {"sql": "/*M! DELETE FROM customers */"}, "nothing that"),
        ("query", {"sql": "# SELECT\n-- SELECT\n/* SELECT */ DO 1"}, "`DO`"),
        ("execute", {"sql": "LOAD DATA LOCAL INFILE 'x' INTO TABLE cases"}, "`LOAD`"),
        ("execute", {"sql": "CALL anything()"}, "`CALL`"),
    ],
}


@on_each(
    postgres=pytest.mark.requirement("PG-02"),
    mariadb=pytest.mark.requirement("MARIADB-02"),
    names=("tool", "arguments", "wanted"),
    cases=REFUSED_ARGUMENTS,
)
async def test_arguments_that_are_none_are_refused_in_words_that_help(
    bench, database, tool, arguments, wanted
):
    async with session(bench, database.world.order(of=database.reading())) as opened:
        with pytest.raises(Refused) as caught:
            await opened.perform(tool, arguments, tag=TAG, seconds_max=5)
        assert caught.value.code == "target.arguments"
        assert wanted in caught.value.message
        assert rows(await ask(opened, "query", "SELECT 1")) == [[1]]


@on_each(
    postgres=pytest.mark.requirement("PG-05"),
    mariadb=pytest.mark.requirement("MARIADB-05"),
)
async def test_a_label_that_is_no_tag_is_refused(bench, database):
    async with session(bench, database.world.order(of=database.reading())) as opened:
        with pytest.raises(Refused):
            await ask(opened, "query", "SELECT 1", tag="x'; DROP TABLE customers; --")


TOLD = {
    "postgres": {
        "name": "public.support_messages",
        "columns": [
            {"name": "id", "type": "integer", "verbs": ["select"]},
            {"name": "body", "type": "text", "verbs": ["select"]},
        ],
        "mayDelete": False,
    },
    "mariadb": {
        "name": "cases",
        "columns": [
            {"name": "id", "type": "int(11)", "verbs": ["select"]},
            {"name": "body", "type": "text", "verbs": ["select"]},
        ],
    },
}


@on_each(
    postgres=pytest.mark.requirement("PG-02"),
    mariadb=pytest.mark.requirement("MARIADB-02"),
)
async def test_an_agent_is_told_what_it_may_use_and_nothing_beside(bench, database):
    async with session(bench, database.world.order(of=database.world.scope())) as opened:
        done = await opened.perform("list_tables", {}, tag=TAG, seconds_max=5)
        assert done.result["structuredContent"]["tables"] == [TOLD[database.name]]


@on_each(
    postgres=pytest.mark.requirement("PG-02"),
    mariadb=pytest.mark.requirement("MARIADB-02"),
)
async def test_tools_are_described_whole(bench):
    for tool in bench.target.tools():
        jsonschema_rs.meta.validate(tool["inputSchema"])
        assert tool["inputSchema"]["additionalProperties"] is False
        assert tool["title"]
        assert len(tool["description"]) > 40
        hints = {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
        assert hints <= tool["annotations"].keys()

"""What an agent's statement can do in a session of a lease, on a real PostgreSQL: traps of the lab, and limits."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import anyio
import jsonschema_rs
import pytest

from answerable.errors import Refused, Unavailable
from tests.probes.waiting import until
from tests.worlds.postgres import PostgresBench, bench_on, built, furnished_server, order, scope, table

pytestmark = [pytest.mark.anyio]

TAG = "aaaaaaaaaaaaaaaaaaaaaaaaae"

SLEEPING = "SELECT 1 FROM pg_stat_activity WHERE usename LIKE 'ans%' AND wait_event = 'PgSleep'"


@pytest.fixture(scope="module")
def server():
    with furnished_server() as running:
        yield running


@pytest.fixture
async def bench(server):
    async with bench_on(server, bytes_max=20_000) as opened:
        yield opened


WRITING = scope(
    tables=[
        table("public.support_messages", "select", "update", "delete"),
        table("public.customers", "select", "insert", "delete"),
    ],
    rowsMax=60,
)
READING = scope(tables=[table("public.customers", "select")], rowsMax=60)


@asynccontextmanager
async def session(bench, number=1, of=None):
    credential = await bench.issuer.issue(order(number, of=of or READING))
    async with bench.target.connected(credential) as opened:
        yield opened


async def ask(opened, tool, sql, *parameters, tag=TAG, seconds=5):
    done = await opened.perform(
        tool, {"sql": sql, "parameters": list(parameters)}, tag=tag, seconds_max=seconds
    )
    json.dumps(done.result)
    return done


def said(done):
    return done.result["content"][0]["text"]


def rows(done):
    assert not done.result["isError"], said(done)
    return done.result["structuredContent"]["rows"]


@pytest.mark.requirement("PG-02", "BROKER-22")
async def test_what_an_agent_asks_is_answered_with_its_values_apart(bench):
    async with session(bench) as opened:
        done = await ask(opened, "query", "SELECT id, name FROM customers WHERE id = $1", 7)
        assert rows(done) == [[7, "customer 7"]]
        assert done.result["structuredContent"]["columns"] == ["id", "name"]
        assert json.loads(said(done)) == done.result["structuredContent"], "for clients that show text alone"
        hostile = "x'; DELETE FROM customers; --"
        assert rows(await ask(opened, "query", "SELECT $1::text", hostile)) == [[hostile]]


@pytest.mark.requirement("PG-02")
@pytest.mark.parametrize(
    ("type_name", "value", "shown"),
    [
        ("int8", 9_007_199_254_740_993, "9007199254740993"),
        ("int4", 5, 5),
        ("numeric", "1.10", "1.10"),
        ("numeric", 2, "2"),
        ("float8", 1.5, 1.5),
        ("bool", True, True),
        ("date", "2026-11-28", "2026-11-28"),
        ("timestamptz", "2026-11-28T01:02:03+00:00", "2026-11-28T01:02:03+00:00"),
        ("timestamp", "2026-11-28T01:02:03", "2026-11-28T01:02:03"),
        ("time", "01:02:03", "01:02:03"),
        ("uuid", "9f3a0d5e-0000-4000-8000-000000000001", "9f3a0d5e-0000-4000-8000-000000000001"),
        ("bytea", "00ff", "00ff"),
        ("jsonb", {"a": [1]}, '{"a": [1]}'),
        ("text[]", ["a", "b"], ["a", "b"]),
        ("inet", "10.0.0.1", "10.0.0.1"),
        ("text", None, None),
    ],
)
async def test_values_of_every_common_type_go_in_and_come_out(bench, type_name, value, shown):
    async with session(bench) as opened:
        assert rows(await ask(opened, "query", f"SELECT $1::{type_name}", value)) == [[shown]]


@pytest.mark.requirement("PG-02")
async def test_what_json_cannot_hold_comes_out_as_text(bench):
    async with session(bench) as opened:
        odd = "SELECT 'NaN'::float8, 'Infinity'::float8, interval '1 day', ROW(1, 'a'), int4range(1, 5), '(1,2)'::point"
        (row,) = rows(await ask(opened, "query", odd))
        assert row[:3] == ["nan", "inf", "86400.000000 s"]


@pytest.mark.requirement("PG-02")
@pytest.mark.parametrize(
    ("tool", "arguments", "wanted"),
    [
        ("drop", {"sql": "SELECT 1"}, "no tool"),
        ("query", {}, "`sql`"),
        ("query", {"sql": ""}, "`sql`"),
        ("query", {"sql": "SELECT 1\0"}, "NUL"),
        ("query", {"sql": "SELECT 1", "parameters": "x"}, "list"),
        ("query", {"sql": "SELECT 1", "timeout": 5}, "no argument"),
        ("query", {"sql": "SELECT $1::int", "parameters": []}, "1 parameters"),
        ("query", {"sql": "SELECT $1::int", "parameters": ["x"]}, "parameter"),
        ("query", {"sql": "SELECT $1::int", "parameters": [2**70]}, "parameter"),
        ("query", {"sql": "SELECT $1::date", "parameters": ["soon"]}, "$1"),
        ("query", {"sql": "SELECT $1::text", "parameters": [["a"]]}, "$1"),
        ("query", {"sql": "DELETE FROM customers"}, "`DELETE` is nothing that `query` runs"),
        ("query", {"sql": "/* SELECT */ -- SELECT\n COPY customers TO STDOUT"}, "`COPY`"),
        ("execute", {"sql": "COMMIT"}, "`COMMIT`"),
        ("execute", {"sql": "PREPARE TRANSACTION 'x'"}, "`PREPARE`"),
        ("execute", {"sql": "LISTEN x"}, "`LISTEN`"),
        ("execute", {"sql": "SET ROLE shop"}, "`SET`"),
        ("list_tables", {"sql": "SELECT 1"}, "no argument"),
    ],
)
async def test_arguments_that_are_none_are_refused_in_words_that_help(bench, tool, arguments, wanted):
    async with session(bench) as opened:
        with pytest.raises(Refused) as caught:
            await opened.perform(tool, arguments, tag=TAG, seconds_max=5)
        assert caught.value.code == "target.arguments"
        assert wanted in caught.value.message
        assert rows(await ask(opened, "query", "SELECT 1")) == [[1]]


@pytest.mark.requirement("PG-03")
async def test_trap_a_role_that_was_set_cannot_be_reset_as_the_login_is_the_lease_itself(bench):
    credential = await bench.issuer.issue(order(of=READING))
    connection = await bench.connect(credential)
    await connection.execute("RESET ROLE; RESET SESSION AUTHORIZATION")
    assert await connection.fetchval("SELECT session_user") == credential.account
    assert not await bench.lets(credential, "RESET ROLE; DELETE FROM public.customers")
    assert not await bench.lets(credential, "SET SESSION AUTHORIZATION DEFAULT; DELETE FROM public.customers")
    await connection.close()


@pytest.mark.requirement("PG-03")
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; DROP TABLE customers",
        "SELECT 1; COMMIT; DELETE FROM customers",
        "SELECT 1; TRUNCATE customers",
        "SELECT 1;;SELECT 2",
    ],
)
async def test_trap_several_statements_in_one_text_are_a_syntax_error(bench, server, sql):
    async with session(bench, of=WRITING) as opened:
        for tool in ("query", "execute"):
            done = await ask(opened, tool, sql)
            assert done.result["isError"]
            assert "42601" in said(done)
    assert (await server.run("SELECT count(*) FROM customers", "prod"))[0][0] == 50


@pytest.mark.requirement("PG-03")
async def test_trap_read_only_cannot_be_turned_off_by_who_asks(bench, server):
    async with session(bench, of=WRITING) as opened:
        for sql in (
            "SELECT set_config('transaction_read_only', 'off', true)",
            "SELECT set_config('default_transaction_read_only', 'off', false)",
        ):
            await ask(opened, "query", sql)
            done = await ask(opened, "query", "WITH x AS (DELETE FROM customers RETURNING 1) SELECT * FROM x")
            assert done.result["isError"]
            assert "25006" in said(done)
    assert (await server.run("SELECT count(*) FROM customers", "prod"))[0][0] == 50


@pytest.mark.requirement("PG-03")
async def test_trap_a_delete_inside_with_needs_the_grant_of_a_delete(bench, server):
    """`execute` lets WITH begin a statement, and no filter of ours stands between: the role has no right."""
    async with session(bench) as opened:
        done = await ask(opened, "execute", "WITH x AS (DELETE FROM customers RETURNING 1) SELECT * FROM x")
        assert done.result["isError"]
        assert "42501" in said(done)
    credential = await bench.issuer.issue(order(9, of=READING))
    assert not await bench.lets(
        credential, "WITH x AS (DELETE FROM public.customers RETURNING 1) SELECT * FROM x"
    )


@pytest.mark.requirement("PG-03")
async def test_trap_a_statement_that_ends_the_transaction_around_it_is_not_committed(bench, server):
    async with session(bench, of=WRITING) as opened:
        done = await ask(
            opened, "execute", "WITH gone AS (DELETE FROM support_messages WHERE id = 1) SELECT 1 / 0"
        )
        assert done.result["isError"]
        assert rows(await ask(opened, "query", "SELECT id FROM support_messages WHERE id = 1")) == [[1]]


@pytest.mark.requirement("PG-03")
async def test_trap_limits_that_a_session_set_for_itself_do_not_last(bench):
    async with session(bench, of=scope(tables=[table("public.customers", "select")], seconds=1)) as opened:
        await ask(opened, "query", "SELECT set_config('statement_timeout', '0', false)")
        done = await ask(opened, "query", "SELECT pg_sleep(20)")
        assert done.result["isError"]
        assert "57014" in said(done)


@pytest.mark.requirement("PG-04")
async def test_rows_and_bytes_are_bounded_and_the_cut_is_said(bench):
    few = scope(tables=[table("public.customers", "select")], rowsMax=10)
    async with session(bench, of=few) as opened:
        done = await ask(opened, "query", "SELECT id FROM customers ORDER BY id")
        assert [row[0] for row in rows(done)] == list(range(1, 11))
        assert done.result["structuredContent"]["cut"]
        assert "10 rows" in done.result["structuredContent"]["cutBecause"]
        done = await ask(opened, "query", "SELECT id FROM customers ORDER BY id LIMIT 10")
        assert not done.result["structuredContent"]["cut"]
        done = await ask(opened, "query", "SELECT repeat('x', 9000) FROM generate_series(1, 5)")
        assert len(rows(done)) == 2
        assert "20000 bytes" in said(done)


@pytest.mark.requirement("PG-04")
async def test_what_would_change_more_rows_than_granted_changes_none(bench, server):
    few = scope(tables=[table("public.customers", "select", "update")], rowsMax=10)
    async with session(bench, of=few) as opened:
        for returning in ("", " RETURNING id"):
            done = await ask(opened, "execute", "UPDATE customers SET region = 'x'" + returning)
            assert done.result["isError"]
            assert "nothing was changed" in said(done)
        done = await ask(
            opened, "execute", "UPDATE customers SET region = 'us' WHERE id <= $1 RETURNING id", 3
        )
        assert done.result["structuredContent"]["changed"] == 3
        assert len(rows(done)) == 3
        done = await ask(opened, "execute", "UPDATE customers SET region = 'eu' WHERE id <= 3")
        assert done.result["structuredContent"]["changed"] == 3
    assert (await server.run("SELECT count(*) FROM customers WHERE region <> 'eu'", "prod"))[0][0] == 0


@pytest.mark.requirement("PG-04")
async def test_what_is_cancelled_stops_at_the_server_and_the_session_goes_on(bench, server):
    async with session(bench) as opened:
        with anyio.move_on_after(0.3):
            await ask(opened, "query", "SELECT pg_sleep(30)")
        running = "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'ans%' AND state = 'active'"
        assert (await server.run(running))[0][0] == 0
        assert rows(await ask(opened, "query", "SELECT 1")) == [[1]]


@pytest.mark.requirement("PG-04")
async def test_a_session_that_ends_under_a_statement_leaves_its_effect_unknown(bench):
    async with session(bench) as opened:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_revoked_soon, bench)
            with pytest.raises(Unavailable) as caught:
                await ask(opened, "query", "SELECT pg_sleep(30)")
        assert (caught.value.code, caught.value.effect) == ("target.connection", "unknown")


async def _revoked_soon(bench):
    await until(lambda: bench.server.run(SLEEPING))
    revoked = await bench.issuer.revoke(order().name)
    assert revoked.sessions_cut == 1


@pytest.mark.requirement("PG-04")
async def test_a_credential_that_ended_opens_no_session(bench):
    credential = await bench.issuer.issue(order(of=READING))
    await bench.issuer.revoke(credential.lease)
    with pytest.raises(Unavailable) as caught:
        async with bench.target.connected(credential):
            pass
    assert (caught.value.code, caught.value.effect) == ("target.connection", "none")


@pytest.mark.requirement("PG-05")
async def test_the_session_key_is_the_one_of_the_servers_log(bench, server):
    credential = await bench.issuer.issue(order(of=READING))
    async with bench.target.connected(credential) as opened:
        done = await ask(opened, "query", "SELECT 'marked-53f1'")
    key = dict(done.session)
    line = next(line for line in server.log.read_text().splitlines() if "marked-53f1" in line)
    session_id, _, user, label, vxid, _ = line.split("|", 5)
    assert (session_id, user, label, vxid) == (key["pg_session"], credential.account, TAG, key["pg_vxid"])


@pytest.mark.requirement("PG-05")
async def test_a_label_that_an_agent_forged_is_told_and_gone_before_the_next_statement(bench, server):
    async with session(bench, of=WRITING) as opened:
        done = await ask(opened, "query", "SELECT set_config('application_name', 'somebody else', false)")
        assert dict(done.session)["pg_label_changed"] == "yes"
        done = await ask(
            opened, "execute", "UPDATE customers SET region = 'eu' WHERE id = 1", tag=TAG[:-1] + "i"
        )
        assert done.result["isError"]  # no grant of update there
        done = await ask(opened, "execute", "DELETE FROM support_messages WHERE id = 50", tag=TAG[:-1] + "i")
        assert "pg_label_changed" not in dict(done.session)
        assert dict(done.session)["pg_xid"]
    lines = [
        line
        for line in server.log.read_text().splitlines()
        if "DELETE FROM support_messages WHERE id = 50" in line
    ]
    assert all(line.split("|")[3] == TAG[:-1] + "i" for line in lines)
    with pytest.raises(Refused):
        async with session(bench, 2) as opened:
            await ask(opened, "query", "SELECT 1", tag="x'; DROP TABLE customers; --")


@pytest.mark.requirement("PG-05")
async def test_nothing_that_one_action_left_in_a_session_reaches_the_next(bench):
    async with session(bench) as opened:
        await ask(opened, "query", "SELECT pg_advisory_lock(7), set_config('search_path', 'nowhere', false)")
        await ask(opened, "query", "SELECT set_config('answerable.left', 'here', false)")
        done = await ask(
            opened,
            "query",
            "SELECT current_setting('answerable.left', true), current_setting('search_path'),"
            " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')",
        )
        ((left, path, locks),) = rows(done)
        assert (left or "", locks) == ("", 0)
        assert path == '"pg_catalog", "public", "pg_temp"' or path == "pg_catalog, public, pg_temp"


@pytest.mark.requirement("PG-02")
async def test_an_agent_is_told_what_it_may_use_and_nothing_beside(bench):
    async with session(bench, of=scope()) as opened:
        done = await opened.perform("list_tables", {}, tag=TAG, seconds_max=5)
        assert done.result["structuredContent"]["tables"] == [
            {
                "name": "public.support_messages",
                "columns": [
                    {"name": "id", "type": "integer", "verbs": ["select"]},
                    {"name": "body", "type": "text", "verbs": ["select"]},
                ],
                "mayDelete": False,
            }
        ]


@pytest.mark.requirement("PG-02")
async def test_tools_are_described_whole(bench):
    for tool in bench.target.tools():
        jsonschema_rs.meta.validate(tool["inputSchema"])
        assert tool["inputSchema"]["additionalProperties"] is False
        assert tool["title"]
        assert len(tool["description"]) > 40
        hints = {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
        assert hints <= tool["annotations"].keys()


@pytest.mark.requirement("PG-05")
async def test_a_pooler_before_the_server_is_seen_and_refused(bench, server):
    """A stand-in for one: it hands on everything, and gives clients a process number of its own."""

    async def pumped(reader, writer, change):
        while octets := await reader.read(65536):
            writer.write(change(octets))
            await writer.drain()
        writer.close()

    def other_process(octets):
        start, key, rest = octets.partition(b"K\x00\x00\x00\x0c")
        return start + key + (b"\x00\x00\x00\x07" + rest[4:] if key else rest)

    async def pool(reader, writer):
        to_server = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(pumped(reader, to_server[1], bytes), pumped(to_server[0], writer, other_process))

    pooler = await asyncio.start_server(pool, "127.0.0.1", 0)
    port = pooler.sockets[0].getsockname()[1]
    credential = await bench.issuer.issue(order(of=READING))
    through = PostgresBench(server, built(server, port=port))
    with pytest.raises(Unavailable) as caught:
        async with through.target.connected(credential):
            pass
    assert (caught.value.code, caught.value.effect) == ("target.pooled", "none")
    pooler.close()

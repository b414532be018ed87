"""What an agent's statement can do in a session of a lease, on a real MariaDB: traps, limits and session keys."""

from __future__ import annotations

import asyncio
import json
import struct
from contextlib import asynccontextmanager

import aiomysql
import anyio
import jsonschema_rs
import pytest

from answerable.adapters.mariadb_accounts import connection as strict
from answerable.errors import Refused, Unavailable
from tests.probes.waiting import until
from tests.stand_ins.own_server import free_port
from tests.worlds.mariadb import MariadbBench, bench_on, built, furnished_server, order, scope, table

pytestmark = [pytest.mark.anyio]

TAG = "aaaaaaaaaaaaaaaaaaaaaaaaae"
READING = scope(tables=[table("customers", "select")], rowsMax=60)
WRITING = scope(
    tables=[table("cases", "select", "update", "delete", "insert"), table("customers", "select", "delete")],
    rowsMax=60,
)

SLEEPING = "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE '%SLEEP(30)' AND USER LIKE 'ans%'"


@pytest.fixture(scope="module")
def server():
    with furnished_server() as running:
        yield running


@pytest.fixture
async def bench(server):
    async with bench_on(server, bytes_max=20_000) as opened:
        yield opened


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


@pytest.mark.requirement("MARIADB-02", "BROKER-22")
async def test_what_an_agent_asks_is_answered_with_its_values_apart(bench):
    async with session(bench) as opened:
        done = await ask(opened, "query", "SELECT id, name FROM customers WHERE id = ?", 7)
        assert rows(done) == [[7, "customer 7"]]
        assert done.result["structuredContent"]["columns"] == ["id", "name"]
        assert json.loads(said(done)) == done.result["structuredContent"], "for clients that show text alone"
        for hostile in ("x'; DELETE FROM customers; --", "\\", "\\'", "`", "☃\U0001f512", "", "%s"):
            assert rows(await ask(opened, "query", "SELECT ?", hostile)) == [[hostile]]
        assert rows(await ask(opened, "query", "SELECT name FROM customers WHERE name = ?", "customer 3"))


@pytest.mark.requirement("MARIADB-02")
@pytest.mark.parametrize(
    ("sql", "value", "shown"),
    [
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
)
async def test_values_of_every_common_type_go_in_and_come_out(bench, sql, value, shown):
    async with session(bench) as opened:
        assert rows(await ask(opened, "query", sql, value)) == [[shown]]


@pytest.mark.requirement("MARIADB-02")
@pytest.mark.parametrize(
    ("tool", "arguments", "wanted"),
    [
        ("drop", {"sql": "SELECT 1"}, "no tool"),
        ("query", {"sql": ""}, "`sql`"),
        ("query", {"sql": "SELECT 1", "parameters": "x"}, "list"),
        ("query", {"sql": "SELECT 1", "timeout": 5}, "no argument"),
        ("query", {"sql": "SELECT ?", "parameters": [2**70]}, "value 1"),
        ("query", {"sql": "SELECT ?", "parameters": ["\ud800"]}, "value 1"),
        ("query", {"sql": "SELECT '\ud800'"}, "characters"),
        ("query", {"sql": "DELETE FROM customers"}, "`DELETE`"),
        ("query", {"sql": "SET STATEMENT max_statement_time = 0 FOR SELECT SLEEP(9)"}, "`SET`"),
        ("query", {"sql": "/*! DELETE FROM customers */"}, "nothing that"),
        ("query", {"sql": "/*M! DELETE FROM customers */"}, "nothing that"),
        ("query", {"sql": "# SELECT\n-- SELECT\n/* SELECT */ DO 1"}, "`DO`"),
        ("execute", {"sql": "COMMIT"}, "`COMMIT`"),
        ("execute", {"sql": "LOAD DATA LOCAL INFILE 'x' INTO TABLE cases"}, "`LOAD`"),
        ("execute", {"sql": "CALL anything()"}, "`CALL`"),
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


@pytest.mark.requirement("MARIADB-03")
@pytest.mark.parametrize(
    "sql",
    ["SELECT 1; DELETE FROM customers", "SELECT 1; COMMIT; DELETE FROM customers", "SELECT 1;;SELECT 2"],
)
async def test_several_statements_in_one_text_are_a_syntax_error(bench, server, sql):
    async with session(bench, of=WRITING) as opened:
        done = await ask(opened, "query", sql)
        assert done.result["isError"]
        assert "(1064)" in said(done)
    assert (await server.run("SELECT COUNT(*) FROM shop.customers"))[0][0] == 50


@pytest.mark.requirement("MARIADB-03")
async def test_the_connection_itself_takes_one_statement_at_a_time(bench, server):
    """The driver of others switches several on; ours does not, also where nothing is wrapped."""
    credential = await bench.issuer.issue(order(of=WRITING))
    theirs = await bench.connect(credential)
    await bench.rows(theirs, "SELECT 1; SELECT 2")
    theirs.close()
    place = bench.target._place
    ours = await strict.connected(
        place,
        account=credential.account,
        password=credential.secret.reveal("password"),
        database="shop",
        label="x",
    )
    with pytest.raises(aiomysql.ProgrammingError):
        await strict.run(ours, "SELECT 1; DELETE FROM customers")
    ours.close()
    assert (await server.run("SELECT COUNT(*) FROM shop.customers"))[0][0] == 50


@pytest.mark.requirement("MARIADB-03")
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT /*! 1; DELETE FROM customers */",
        "WITH x AS (SELECT 1) DELETE FROM customers",
        "EXPLAIN DELETE FROM customers",
        "SELECT * FROM customers FOR UPDATE",
        "SELECT 1 INTO OUTFILE 'mine'",
        "SELECT LOAD_FILE('passwd')",
        "SELECT SLEEP(0) UNION SELECT token FROM integration_tokens",
    ],
)
async def test_reading_changes_nothing_and_reads_nothing_beside(bench, server, sql):
    async with session(bench, of=WRITING) as opened:
        done = await ask(opened, "query", sql)
        assert done.result["isError"] or "canary" not in json.dumps(done.result)
    assert (await server.run("SELECT COUNT(*) FROM shop.customers"))[0][0] == 50


@pytest.mark.requirement("MARIADB-04")
async def test_rows_and_bytes_are_bounded_and_the_cut_is_said(bench):
    few = scope(tables=[table("customers", "select")], rowsMax=10)
    async with session(bench, of=few) as opened:
        done = await ask(opened, "query", "SELECT id FROM customers ORDER BY id")
        assert [row[0] for row in rows(done)] == list(range(1, 11))
        assert "10 rows" in done.result["structuredContent"]["cutBecause"]
        done = await ask(opened, "query", "SELECT id FROM customers ORDER BY id LIMIT 10")
        assert not done.result["structuredContent"]["cut"]
        done = await ask(opened, "query", "SELECT REPEAT('x', 9000) FROM customers LIMIT 5")
        assert len(rows(done)) == 2
        assert "20000 bytes" in said(done)


@pytest.mark.requirement("MARIADB-04")
async def test_what_would_change_more_rows_than_granted_changes_none(bench, server):
    few = scope(tables=[table("cases", "select", "update", "delete", "insert")], rowsMax=10)
    async with session(bench, of=few) as opened:
        for sql in ("UPDATE cases SET body = 'x'", "DELETE FROM cases", "DELETE FROM cases RETURNING id"):
            done = await ask(opened, "execute", sql)
            assert done.result["isError"]
            assert "nothing was changed" in said(done)
        done = await ask(
            opened, "execute", "INSERT INTO cases (case_id, body) VALUES ('n', ?) RETURNING body", "b"
        )
        assert (rows(done), done.result["structuredContent"]["changed"]) == ([["b"]], 1)
        done = await ask(opened, "execute", "DELETE FROM cases WHERE case_id = 'n'")
        assert done.result["structuredContent"]["changed"] == 1
    assert (await server.run("SELECT COUNT(*) FROM shop.cases WHERE body LIKE 'body%'"))[0][0] == 50


@pytest.mark.requirement("MARIADB-04")
async def test_a_statement_ends_when_its_time_is_up_whatever_a_session_set(bench):
    async with session(bench, of=scope(tables=[table("customers", "select")], seconds=1)) as opened:
        await ask(opened, "query", "SELECT @left := 5, GET_LOCK('left', 0)")
        done = await ask(opened, "query", "SELECT SLEEP(20) FROM customers")
        assert done.result["isError"]
        assert "(1969)" in said(done) or "(3024)" in said(done)
        assert rows(await ask(opened, "query", "SELECT @left, IS_FREE_LOCK('left')")) == [[None, 1]]


async def is_over(server, asked):
    return not await server.run(asked)


@pytest.mark.requirement("MARIADB-04")
async def test_what_is_cancelled_stops_at_the_server_and_the_session_goes_on(bench, server):
    async with session(bench) as opened:
        with anyio.move_on_after(0.3):
            await ask(opened, "query", "SELECT SLEEP(30)")
        await until(lambda: is_over(server, SLEEPING))
        assert rows(await ask(opened, "query", "SELECT 1")) == [[1]]


@pytest.mark.requirement("MARIADB-04")
async def test_a_session_that_ends_under_a_statement_leaves_its_effect_unknown(bench):
    async def revoked_soon():
        await until(lambda: bench.server.run(SLEEPING))
        assert (await bench.issuer.revoke(order().name)).sessions_cut >= 1

    async with session(bench) as opened, anyio.create_task_group() as tasks:
        tasks.start_soon(revoked_soon)
        with pytest.raises(Unavailable) as caught:
            await ask(opened, "query", "SELECT SLEEP(30)")
        assert (caught.value.code, caught.value.effect) == ("target.connection", "unknown")


@pytest.mark.requirement("MARIADB-04")
async def test_a_credential_that_ended_opens_no_session(bench):
    credential = await bench.issuer.issue(order(of=READING))
    await bench.issuer.revoke(credential.lease)
    with pytest.raises(Unavailable) as caught:
        async with bench.target.connected(credential):
            pass
    assert (caught.value.code, caught.value.effect) == ("target.connection", "none")


@pytest.mark.requirement("MARIADB-05")
async def test_the_session_key_is_the_one_of_the_servers_log_and_no_two_actions_share_it(bench, server):
    credential = await bench.issuer.issue(order(of=READING))
    keys = []
    async with bench.target.connected(credential) as opened:
        for number in range(3):
            keys.append(dict((await ask(opened, "query", f"SELECT 'marked-{number}'")).session))
    lines = server.log.read_text().splitlines()
    for number, key in enumerate(keys):
        line = next(line for line in lines if "Execute" in line and f"marked-{number}" in line)
        assert f"{key['mariadb_connection']} Execute" in line
    assert len({key["mariadb_connection"] for key in keys}) == 3
    assert any(f"{credential.account}@127.0.0.1 on shop" in line for line in lines)


@pytest.mark.requirement("MARIADB-05")
async def test_the_label_is_an_attribute_of_the_connection_that_no_statement_changes(bench, server):
    asked = (
        "SELECT ATTR_VALUE FROM performance_schema.session_account_connect_attrs WHERE ATTR_NAME = 'program_name'"
        " AND PROCESSLIST_ID = CONNECTION_ID()"
    )
    async with session(bench) as opened:
        assert rows(await ask(opened, "query", asked)) == [[TAG]]
        with pytest.raises(Refused):
            await ask(opened, "query", "SELECT 1", tag="x'; --")


@pytest.mark.requirement("MARIADB-02")
async def test_an_agent_is_told_what_it_may_use_and_nothing_beside(bench):
    async with session(bench, of=scope()) as opened:
        done = await opened.perform("list_tables", {}, tag=TAG, seconds_max=5)
        columns = [
            {"name": "id", "type": "int(11)", "verbs": ["select"]},
            {"name": "body", "type": "text", "verbs": ["select"]},
        ]
        assert done.result["structuredContent"]["tables"] == [{"name": "cases", "columns": columns}]


@pytest.mark.requirement("MARIADB-02")
async def test_tools_are_described_whole(bench):
    for tool in bench.target.tools():
        jsonschema_rs.meta.validate(tool["inputSchema"])
        assert tool["inputSchema"]["additionalProperties"] is False
        hints = {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
        assert hints <= tool["annotations"].keys()


@asynccontextmanager
async def hostile_server(greeting, then=b""):
    """It greets as a server, keeps what it is sent, and answers with one packet."""
    heard = []

    async def serve(reader, writer):
        writer.write(struct.pack("<I", len(greeting))[:3] + b"\x00" + greeting)
        heard.append(await reader.read(65536))
        if then:
            writer.write(struct.pack("<I", len(then))[:3] + b"\x02" + then)
            heard.append(await reader.read(65536))
        writer.close()

    port = free_port()
    listening = await asyncio.start_server(serve, "127.0.0.1", port)
    yield port, heard
    listening.close()


def greeting(capabilities, plugin=b"mysql_native_password"):
    low, high = struct.pack("<I", capabilities)[:2], struct.pack("<I", capabilities)[2:]
    return (
        b"\x0a11.8.0-MariaDB\x00" + struct.pack("<I", 7) + b"12345678\x00" + low + b"\x21\x02\x00" + high
        + b"\x15" + bytes(10) + b"123456789012\x00" + plugin + b"\x00"
    )  # fmt: skip


PLAIN = 0x000FF7FF & ~0x800


@pytest.mark.requirement("MARIADB-06")
async def test_a_server_that_offers_no_tls_gets_nothing_where_tls_is_wanted(server):
    async with hostile_server(greeting(PLAIN)) as (port, heard):
        bench = MariadbBench(server, built(server, port=port, tls="verify"))
        with pytest.raises(Unavailable) as caught:
            await bench.issuer.live()
        assert "no TLS" in caught.value.message
        await anyio.sleep(0.05)
        assert heard in ([], [b""])


@pytest.mark.requirement("MARIADB-06")
@pytest.mark.parametrize(
    "plugin", [b"mysql_clear_password", b"sha256_password", b"dialog", b"auth_gssapi_client"]
)
async def test_a_server_that_asks_for_the_password_itself_does_not_get_it(server, plugin):
    from tests.stand_ins.mariadb_server import BROKER_PASSWORD

    switch = b"\xfe" + plugin + b"\x00" + b"12345678901234567890\x00"
    for first in (greeting(PLAIN), greeting(PLAIN, plugin)):
        async with hostile_server(first, switch) as (port, heard):
            bench = MariadbBench(server, built(server, port=port))
            with pytest.raises(Unavailable) as caught:
                await bench.issuer.live()
            await anyio.sleep(0.05)
            assert BROKER_PASSWORD.encode() not in b"".join(heard)
            assert BROKER_PASSWORD not in str(caught.value)

"""What a statement can do in a session of a lease on MariaDB alone, and what a hostile server is told."""

from __future__ import annotations

import asyncio
import json
import struct
from contextlib import asynccontextmanager

import aiomysql
import anyio
import pytest

from answerable.adapters.mariadb_accounts import connection as strict
from answerable.errors import Unavailable
from tests.stand_ins.ports import free_port
from tests.worlds.mariadb import MariadbBench, bench_on, built, furnished_server, order, scope
from tests.worlds.sql import TAG, ask, rows, session
from tests.worlds.sql_bench import table

pytestmark = [pytest.mark.anyio]

READING = scope(tables=[table("customers", "select")], rowsMax=60)
WRITING = scope(
    tables=[table("cases", "select", "update", "delete", "insert"), table("customers", "select", "delete")],
    rowsMax=60,
)


@pytest.fixture(scope="module")
def server():
    with furnished_server() as running:
        yield running


@pytest.fixture
async def bench(server):
    async with bench_on(server, bytes_max=20_000) as opened:
        yield opened


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
    async with session(bench, order(of=WRITING)) as opened:
        done = await ask(opened, "query", sql)
        assert done.result["isError"] or "canary" not in json.dumps(done.result)
    assert (await server.run("SELECT COUNT(*) FROM shop.customers"))[0][0] == 50


@pytest.mark.requirement("MARIADB-03")
@pytest.mark.parametrize(
    ("sql", "parameters", "count"),
    [("SELECT 1", ["x"], 1), ("SELECT '?'", ["x"], 1), ("SELECT ?", [], 0), ("SELECT ?", ["a", "b"], 2)],
)
async def test_values_without_a_place_in_the_statement_are_told_as_such(bench, sql, parameters, count):
    async with session(bench, order(of=READING)) as opened:
        done = await opened.perform("query", {"sql": sql, "parameters": parameters}, tag=TAG, seconds_max=30)
        (said,) = done.result["content"]
        assert f"another number of `?` than `parameters` has values, {count}" in said["text"]
        assert rows(await ask(opened, "query", "SELECT '?'")) == [["?"]], "and without values it runs"


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
    async with session(bench, order(of=READING)) as opened:
        assert rows(await ask(opened, "query", asked)) == [[TAG]]


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

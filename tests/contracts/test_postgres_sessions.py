"""What a statement can do in a session of a lease on PostgreSQL alone: traps of the lab, labels and poolers."""

from __future__ import annotations

import asyncio

import pytest

from answerable.errors import Unavailable
from tests.worlds.postgres import PostgresBench, bench_on, built, furnished_server, order, scope
from tests.worlds.sql import TAG, ask, rows, said, session
from tests.worlds.sql_bench import table

pytestmark = [pytest.mark.anyio]


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


@pytest.mark.requirement("PG-02")
async def test_what_json_cannot_hold_comes_out_as_text(bench):
    async with session(bench, order(of=READING)) as opened:
        odd = "SELECT 'NaN'::float8, 'Infinity'::float8, interval '1 day', ROW(1, 'a'), int4range(1, 5), '(1,2)'::point"
        (row,) = rows(await ask(opened, "query", odd))
        assert row[:3] == ["nan", "inf", "86400.000000 s"]


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
async def test_trap_read_only_cannot_be_turned_off_by_who_asks(bench, server):
    async with session(bench, order(of=WRITING)) as opened:
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
    async with session(bench, order(of=READING)) as opened:
        done = await ask(opened, "execute", "WITH x AS (DELETE FROM customers RETURNING 1) SELECT * FROM x")
        assert done.result["isError"]
        assert "42501" in said(done)
    credential = await bench.issuer.issue(order(9, of=READING))
    assert not await bench.lets(
        credential, "WITH x AS (DELETE FROM public.customers RETURNING 1) SELECT * FROM x"
    )


@pytest.mark.requirement("PG-03")
async def test_trap_a_statement_that_ends_the_transaction_around_it_is_not_committed(bench, server):
    async with session(bench, order(of=WRITING)) as opened:
        done = await ask(
            opened, "execute", "WITH gone AS (DELETE FROM support_messages WHERE id = 1) SELECT 1 / 0"
        )
        assert done.result["isError"]
        assert rows(await ask(opened, "query", "SELECT id FROM support_messages WHERE id = 1")) == [[1]]


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
    async with session(bench, order(of=WRITING)) as opened:
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

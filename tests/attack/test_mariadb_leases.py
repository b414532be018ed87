"""What a lease on MariaDB could get hold of, leave behind or outlive, tried on a real server."""

from __future__ import annotations

import random

import anyio
import pytest

from answerable.adapters.mariadb_accounts import connection as strict
from answerable.adapters.mariadb_accounts.quoting import hexed, quoted_name
from answerable.core.canonical import freeze
from answerable.core.lease.name import account_of
from answerable.errors import Refused, Unavailable
from tests.probes.waiting import until
from tests.worlds.mariadb import bench_on, furnished_server, order, scope
from tests.worlds.sql_bench import table

pytestmark = [pytest.mark.anyio]

RUNNING = "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE '%SLEEP(60)' AND USER LIKE 'ans%'"


@pytest.fixture(scope="module")
def server():
    with furnished_server() as running:
        yield running


@pytest.fixture
async def bench(server):
    async with bench_on(server) as opened:
        yield opened


@pytest.mark.requirement("MARIADB-07")
async def test_what_the_brokers_own_account_may_not_grant_leaves_no_account(server):
    async with bench_on(server, databases=("shop", "s_op", "lent")) as bench:
        await server.run(
            "CREATE DATABASE lent",
            "CREATE TABLE lent.t (id INT)",
            "GRANT SELECT ON lent.* TO answerable@'127.0.0.1'",
        )
        for database, name in (("lent", "t"), ("s_op", "cases")):
            odd = freeze({"database": database, "tables": [table(name, "select")]})
            with pytest.raises(Refused) as caught:
                await bench.issuer.issue(order(of=odd))
            assert caught.value.code == "lease.scope"
        assert not await bench.issuer.live()


@pytest.mark.requirement("MARIADB-07")
async def test_a_view_is_how_rows_are_bound(bench):
    credential = await bench.issuer.issue(order(of=scope(tables=[table("case_1", "select")])))
    connection = await bench.connect(credential)
    assert len(await bench.rows(connection, "SELECT * FROM case_1")) == 10
    connection.close()
    assert not await bench.use(credential)


@pytest.mark.requirement("MARIADB-07")
async def test_what_the_server_says_is_granted_names_every_right_and_what_everybody_has(bench, server):
    await server.run("CREATE DATABASE everybodys", "GRANT SELECT ON everybodys.* TO PUBLIC")
    credential = await bench.issuer.issue(order())
    granted = await bench.issuer.granted(credential.lease)
    assert "select on shop.cases (body, id)" in granted
    assert [line for line in granted if "PUBLIC" in line] == [
        "PUBLIC: rights in database everybodys by an account for PUBLIC"
    ]
    await server.run("REVOKE SELECT ON everybodys.* FROM PUBLIC", "DROP DATABASE everybodys")


@pytest.mark.requirement("MARIADB-08")
async def test_an_account_is_open_only_when_all_is_granted(bench, server, monkeypatch):
    """Cut off before its last step, nobody can log in with what it left."""
    made = []
    really = strict.run

    async def cut_at_the_end(connection, statement, *texts):
        if statement.endswith("ACCOUNT UNLOCK"):
            made.append(statement)
            connection.close()
            raise OSError("cut off")
        return await really(connection, statement, *texts)

    monkeypatch.setattr("answerable.adapters.mariadb_accounts.issuer.run", cut_at_the_end)
    with pytest.raises(Unavailable) as caught:
        await bench.issuer.issue(order())
    assert caught.value.effect == "unknown"
    monkeypatch.undo()
    assert made
    assert await bench.issuer.live() == (order().name,)
    locked = await server.run(
        f"SELECT JSON_VALUE(Priv, '$.account_locked') FROM mysql.global_priv WHERE User = '{account_of(order().name)}'"
    )
    assert locked[0][0] == "1"
    assert (await bench.issuer.revoke(order().name)).is_gone


@pytest.mark.requirement("MARIADB-08")
async def test_many_sessions_are_cut_and_counted_and_a_running_statement_with_them(bench):
    credential = await bench.issuer.issue(order())
    sessions = [await bench.connect(credential) for _ in range(3)]
    async with anyio.create_task_group() as tasks:

        async def sleeping():
            with pytest.raises((strict.REFUSED, OSError)):
                await bench.rows(sessions[0], "SELECT SLEEP(60)")

        tasks.start_soon(sleeping)
        await until(lambda: bench.server.run(RUNNING))
        assert (await bench.issuer.revoke(credential.lease)).sessions_cut == 3
    for session in sessions:
        session.close()


@pytest.mark.requirement("MARIADB-09")
async def test_names_and_texts_are_one_token_whatever_is_in_them(server):
    chance = random.Random(7)
    alphabet = "'\"\\$;-/*%_ \n\t`{}()aé☃E\x01\x7f#!"
    connection = await server.owner()
    for mode in ("", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES"):
        await strict.run(connection, f"SET sql_mode = '{mode}'")
        for _ in range(100):
            text = "".join(chance.choice(alphabet) for _ in range(chance.randint(1, 15)))
            assert (await strict.run(connection, f"SELECT {hexed(text)}"))[0][0] == text
            name = text.rstrip(" ") or "x"
            cursor = await connection.cursor()
            await cursor.execute(f"SELECT * FROM (SELECT 1 AS {quoted_name('a' + name)}) t")
            assert cursor.description[0][0] == "a" + name
    connection.close()
    for text in ("", "x" * 65, "a\0", "a ", "\U0001f512"):
        with pytest.raises(ValueError):
            quoted_name(text)

"""What a lease on MariaDB could get hold of, leave behind or outlive, tried on a real server."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

import anyio
import pytest

from answerable.adapters.mariadb_accounts import connection as strict
from answerable.adapters.mariadb_accounts.quoting import hexed, quoted_name
from answerable.core.canonical import freeze
from answerable.core.lease.name import account_of
from answerable.errors import AnswerableError, Refused, Unavailable
from tests.probes.waiting import until
from tests.stand_ins.mariadb_server import BROKER_PASSWORD
from tests.worlds.mariadb import MariadbBench, bench_on, built, furnished_server, order, scope, table

pytestmark = [pytest.mark.anyio]

TAG = "aaaaaaaaaaaaaaaaaaaaaaaaae"

RUNNING = "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE '%SLEEP(60)' AND USER LIKE 'ans%'"
LOCKING = "SELECT ID FROM information_schema.PROCESSLIST WHERE STATE = 'User lock'"


@pytest.fixture(scope="module")
def server():
    with furnished_server() as running:
        yield running


@pytest.fixture
async def bench(server):
    async with bench_on(server) as opened:
        yield opened


@pytest.mark.requirement("MARIADB-07")
@pytest.mark.parametrize(
    ("odd", "wanted"),
    [
        (table("nowhere", "select"), "no table"),
        (table("cases", "select", columns=["nothing"]), "Unknown column"),
        (table("cases", "truncate"), "expected a list of select"),
        (table("cases", "select", "select"), "twice"),
        (table("cases", "delete", columns=["id"]), "whole rows"),
        (table("cases", "select", rows={"column": "case_id", "equals": "case-1"}), "grant a view"),
        (table("x" * 65, "select"), "no name"),
        (table("x\0y", "select"), "no name"),
        (table("cases ", "select"), "no name"),
        (table("\U0001f512", "select"), "no name"),
        (table("Cases", "select"), "no table"),
        (table("kept_by_aria", "select", "update"), "cannot take back"),
    ],
)
async def test_a_scope_that_names_nothing_or_too_much_is_refused_in_words(bench, odd, wanted):
    with pytest.raises(Refused) as caught:
        await bench.issuer.issue(order(of=scope(tables=[odd])))
    assert caught.value.code == "lease.scope"
    assert any(wanted in reason for reason in caught.value.reasons), caught.value.reasons
    assert not await bench.issuer.live()


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
async def test_revoking_waits_for_an_issue_that_is_under_way(bench, server):
    """As a broker would leave it that was killed while the server was at its statement."""
    account = account_of(order().name)
    other = await server.owner()
    await strict.run(other, f"SELECT GET_LOCK('{account}', 0)")
    answers = []

    async def revoke():
        answers.append(await bench.issuer.revoke(order().name))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(revoke)
        await until(lambda: server.run(LOCKING))
        assert not answers
        await strict.run(other, f"CREATE USER {account}@'127.0.0.1'")
        other.close()
    assert answers[0].is_gone
    assert not await bench.issuer.live()


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


@pytest.mark.requirement("MARIADB-08")
async def test_one_lease_that_is_revoked_many_times_at_once_is_gone_for_each(bench):
    credential = await bench.issuer.issue(order())
    answers = []

    async def revoke():
        answers.append((await bench.issuer.revoke(credential.lease)).is_gone)

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(revoke)
    assert answers == [True] * 8
    assert not await bench.issuer.live()


MINTER = """
import anyio, sys
from tests.worlds.mariadb import built, order
from tests.probes.waiting import until
class There:
    port = int(sys.argv[1])
async def main():
    issuer = built(There()).issuer
    async def one(number):
        await issuer.issue(order(number))
        print(number, flush=True)
    async with anyio.create_task_group() as tasks:
        for number in range(1, 33):
            tasks.start_soon(one, number)
    await anyio.sleep(60)
print("ready", flush=True)
anyio.run(main)
"""


@pytest.mark.requirement("MARIADB-08")
@pytest.mark.parametrize("seconds", [0.01, 0.05])
async def test_whatever_a_killed_broker_left_goes_by_its_name(bench, server, seconds):
    root = Path(__file__).parents[2]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MINTER, str(server.port),
        stdout=asyncio.subprocess.PIPE, cwd=root, env={**os.environ, "PYTHONPATH": f"{root}:{root}/src:{root}/tools"},
    )  # fmt: skip
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    await process.stdout.readline()
    await asyncio.sleep(seconds)
    process.kill()
    await process.wait()
    names = {order(number).name for number in range(1, 33)}
    assert set(await bench.issuer.live()) <= names
    for name in names:
        assert (await bench.issuer.revoke(name)).is_gone
    assert not await bench.issuer.live()
    assert not await server.run("SELECT User FROM mysql.tables_priv WHERE User LIKE 'ans\\_%'")
    assert not await server.run("SELECT User FROM mysql.columns_priv WHERE User LIKE 'ans\\_%'")


@pytest.mark.requirement("MARIADB-08")
async def test_accounts_of_others_are_neither_named_nor_taken(bench, server):
    taken = order(5)
    await server.run("CREATE USER ans_report", f"CREATE USER {account_of(taken.name)}@'127.0.0.1'")
    assert await bench.issuer.live() == (taken.name,)
    with pytest.raises(Refused) as caught:
        await bench.issuer.issue(taken)
    assert caught.value.code == "lease.taken"
    await server.run("DROP USER ans_report", f"DROP USER {account_of(taken.name)}@'127.0.0.1'")


def process_commands():
    return [
        path.read_text(errors="replace") for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()
    ]


@pytest.mark.requirement("MARIADB-06")
async def test_no_secret_is_in_any_log_error_result_or_list_of_processes(bench, server):
    credential = await bench.issuer.issue(order())
    secret = credential.secret.reveal("password")
    told = [repr(credential), str(credential.secret), *await bench.issuer.granted(credential.lease)]
    async with bench.target.connected(credential) as opened:
        for sql in ("SELECT id FROM cases", "SELECT * FROM mysql.global_priv", "SELECT FROM", "SHOW GRANTS"):
            try:
                told.append(str(await opened.perform("query", {"sql": sql}, tag=TAG, seconds_max=5)))
            except AnswerableError as error:
                told.append(f"{error!r} {error.__cause__!r}")
        told += process_commands()
    wrong = MariadbBench(server, built(server, account="nobody_here"))
    for attempt in (wrong.issuer.issue(order(2)), wrong.issuer.revoke(order(2).name), wrong.issuer.live()):
        with pytest.raises(Unavailable) as caught:
            await attempt
        told.append(f"{caught.value!r} {caught.value.__cause__!r}")
    await bench.issuer.revoke(credential.lease)
    told.append(server.log.read_text().replace(f"IDENTIFIED BY '{BROKER_PASSWORD}'", ""))
    assert "CREATE USER" in told[-1]
    for text in told:
        for hidden in (secret, BROKER_PASSWORD):
            assert hidden not in text


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

"""What a lease on PostgreSQL or MariaDB could get hold of, leave or outlive, and where its secret could be seen."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from answerable.core.lease.name import account_of
from answerable.errors import AnswerableError, Refused, Unavailable
from tests.probes import warm_starts
from tests.probes.waiting import until
from tests.stand_ins.own_server import cmdlines
from tests.worlds.sql import MARIADB, POSTGRES, TAG, on_each, servers
from tests.worlds.sql_bench import table

pytestmark = [pytest.mark.anyio]

ROOT = Path(__file__).parents[2]
OTHERS = ("ans_report", "ans_", "answers")
"""Accounts whose names are almost those of leases."""


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """In what the claims of this file are told to a server.

    under_way: statements of a session that is making an account. waiting: asks for a session that waits for it. create,
    drop: an account. usable: asks for those that may log in. left: what asks for parts of leases that are left. asked:
    of an agent. furnished: how whoever furnished the server said passwords. made: what the log has of an account.
    """

    under_way: tuple[str, ...]
    waiting: str
    create: str
    drop: str
    usable: str
    left: tuple[str, ...]
    asked: tuple[str, ...]
    furnished: tuple[str, ...]
    made: str


DIALECTS: Mapping[str, Dialect] = {
    "postgres": Dialect(
        under_way=("BEGIN", "CREATE ROLE {}", "GRANT {} TO answerable WITH ADMIN OPTION"),
        waiting="SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
        create="CREATE ROLE {} LOGIN",
        drop="DROP ROLE {}",
        usable="SELECT rolname FROM pg_roles WHERE rolname LIKE 'ans%' AND rolname <> 'answerable' AND rolcanlogin",
        left=(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE 'ans%' AND rolname <> 'answerable'",
            "SELECT polname FROM pg_policy WHERE polname LIKE 'ans%'",
        ),
        asked=(
            "SELECT id FROM support_messages",
            "SELECT * FROM pg_authid",
            "SELEKT",
            "SELECT 1; SELECT 2",
        ),
        furnished=("PASSWORD '{database.broker_password}'",),
        made="CREATE ROLE",
    ),
    "mariadb": Dialect(
        under_way=("SELECT GET_LOCK('{}', 0)",),
        waiting="SELECT ID FROM information_schema.PROCESSLIST WHERE STATE = 'User lock'",
        create="CREATE USER {}@'127.0.0.1'",
        drop="DROP USER {}@'127.0.0.1'",
        usable=(
            "SELECT User FROM mysql.global_priv WHERE User LIKE 'ans%' AND User <> 'answerable'"
            " AND NOT JSON_VALUE(Priv, '$.account_locked') <=> 1"
        ),
        left=(
            "SELECT User FROM mysql.user WHERE User LIKE 'ans%' AND User <> 'answerable'",
            "SELECT User FROM mysql.tables_priv WHERE User LIKE 'ans\\_%'",
            "SELECT User FROM mysql.columns_priv WHERE User LIKE 'ans\\_%'",
        ),
        asked=(
            "SELECT id FROM cases",
            "SELECT * FROM mysql.global_priv",
            "SELECT FROM",
            "SHOW GRANTS",
            "SELECT 1; SELECT 2",
        ),
        furnished=("IDENTIFIED BY '{database.broker_password}'", "IDENTIFIED BY '{database.owner_password}'"),
        made="CREATE USER",
    ),
}


@pytest.fixture(scope="module")
def server_of():
    with servers() as running:
        yield running


@pytest.fixture
def server(database, server_of):
    return server_of(database)


@pytest.fixture
def dialect(database):
    return DIALECTS[database.name]


@pytest.fixture
def order(database):
    return database.world.order


@pytest.fixture
async def bench(database, server):
    async with database.world.bench_on(server) as opened:
        yield opened


def on_cases(database, *verbs, **more):
    return table(database.cases, *verbs, **more)


def odd_tables(database):
    return [
        (on_cases(database, "truncate"), "expected a list of select"),
        (on_cases(database), "expected a list of select"),
        (on_cases(database, "select", "select"), "twice"),
        (on_cases(database, "delete", columns=["id"]), "whole rows"),
    ]


ODD_TABLES = {
    "postgres": [
        *odd_tables(POSTGRES),
        (table("public.nowhere", "select"), "no table"),
        (on_cases(POSTGRES, "select", columns=["nothing"]), "no column"),
        (table("pg_catalog.pg_authid", "select"), "the server's own"),
        (table("customers", "select"), "schema.name"),
        (table("a.b.c", "select"), "schema.name"),
        (on_cases(POSTGRES, "select", rows={"column": "case_id"}), "equals"),
        (on_cases(POSTGRES, "select", rows={"column": "case_id", "equals": ""}), "equals"),
        (on_cases(POSTGRES, "select", rows={"column": "case_id", "like": "%"}), "unknown"),
        (table(["public", "x" * 64], "select"), "no name"),
        (table(["public", "x\0y"], "select"), "no name"),
        (table(["public", ""], "select"), "no name"),
    ],
    "mariadb": [
        *odd_tables(MARIADB),
        (table("nowhere", "select"), "no table"),
        (on_cases(MARIADB, "select", columns=["nothing"]), "Unknown column"),
        (
            on_cases(MARIADB, "select", rows={"column": "case_id", "equals": "case-1"}),
            "grant a view",
        ),
        (table("x" * 65, "select"), "no name"),
        (table("x\0y", "select"), "no name"),
        (table("cases ", "select"), "no name"),
        (table("\U0001f512", "select"), "no name"),
        (table("Cases", "select"), "no table"),
        (table("kept_by_aria", "select", "update"), "cannot take back"),
    ],
}


@on_each(
    postgres=pytest.mark.requirement("PG-07"),
    mariadb=pytest.mark.requirement("MARIADB-07"),
    names=("odd", "wanted"),
    cases=ODD_TABLES,
)
async def test_a_scope_that_names_nothing_or_too_much_is_refused_in_words(
    bench, database, order, odd, wanted
):
    with pytest.raises(Refused) as caught:
        await bench.issuer.issue(order(of=database.world.scope(tables=[odd])))
    assert caught.value.code == "lease.scope"
    assert any(wanted in reason for reason in caught.value.reasons), caught.value.reasons
    assert not await bench.issuer.live()


@on_each(
    postgres=pytest.mark.requirement("PG-08"),
    mariadb=pytest.mark.requirement("MARIADB-08"),
    names=("ends",),
    cases={"postgres": [("COMMIT",), ("ROLLBACK",)], "mariadb": [("CREATE USER {}@'127.0.0.1'",)]},
)
async def test_revoking_waits_for_an_issue_that_is_under_way(bench, dialect, order, server, ends):
    """As a broker would leave it that was killed between its statements, or while the server was at one. Since
    PostgreSQL 16 whoever makes a role may end it by being its administrator."""
    account = account_of(order().name)
    answers = []

    async def revoke():
        answers.append(await bench.issuer.revoke(order().name))

    async with anyio.create_task_group() as tasks, server.acting() as run:
        for statement in dialect.under_way:
            await run(statement.format(account))
        tasks.start_soon(revoke)
        await until(lambda: server.run(dialect.waiting))
        assert not answers
        await run(ends.format(account))
    assert answers[0].is_gone
    assert not await bench.issuer.live()
    assert not await server.run(dialect.left[0])


@on_each(
    postgres=pytest.mark.requirement("PG-08"),
    mariadb=pytest.mark.requirement("MARIADB-08"),
)
async def test_one_lease_that_is_revoked_many_times_at_once_is_gone_for_each(bench, order):
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
from tests.worlds.{world} import built, order
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


@on_each(
    postgres=pytest.mark.requirement("PG-08"),
    mariadb=pytest.mark.requirement("MARIADB-08"),
    names=("seconds",),
    cases={"postgres": [(0.01,), (0.05,), (0.1,)], "mariadb": [(0.01,), (0.05,)]},
)
async def test_whatever_a_killed_broker_left_goes_by_its_name(
    bench, database, dialect, order, server, seconds
):
    process = await asyncio.create_subprocess_exec(
        *warm_starts.program(MINTER.format(world=database.name)), str(server.port),
        stdout=asyncio.subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/src:{ROOT}/tools"},
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
    for left in dialect.left:
        assert not await server.run(left, database=database.home)


@on_each(
    postgres=pytest.mark.requirement("PG-08"),
    mariadb=pytest.mark.requirement("MARIADB-08"),
)
async def test_accounts_of_others_are_neither_named_nor_taken(bench, dialect, order, server):
    for other in OTHERS:
        await server.run(dialect.create.format(other))
    assert not await bench.issuer.live()
    taken = order(5)
    account = account_of(taken.name)
    await server.run(dialect.create.format(account))
    with pytest.raises(Refused) as caught:
        await bench.issuer.issue(taken)
    assert caught.value.code == "lease.taken"
    assert await bench.issuer.live() == (taken.name,)
    left = {row[0] for row in await server.run(dialect.usable)}
    assert left == {account, *OTHERS}
    for name in left:
        await server.run(dialect.drop.format(name))


@on_each(
    postgres=pytest.mark.requirement("PG-09"),
    mariadb=pytest.mark.requirement("MARIADB-06"),
)
async def test_no_secret_is_in_any_log_error_result_or_list_of_processes(
    bench, database, dialect, order, server
):
    credential = await bench.issuer.issue(order())
    secret = credential.secret.reveal("password")
    told = [repr(credential), str(credential.secret), *await bench.issuer.granted(credential.lease)]
    async with bench.target.connected(credential) as opened:
        for sql in dialect.asked:
            try:
                told.append(str(await opened.perform("query", {"sql": sql}, tag=TAG, seconds_max=5)))
            except AnswerableError as error:
                told.append(f"{error!r} {error.__cause__!r}")
        told += cmdlines()
    wrong = type(bench)(server, database.world.built(server, account="nobody_here"))
    for attempt in (wrong.issuer.issue(order(2)), wrong.issuer.revoke(order(2).name), wrong.issuer.live()):
        with pytest.raises(Unavailable) as caught:
            await attempt
        told.append(f"{caught.value!r} {caught.value.__cause__!r}")
    await bench.issuer.revoke(credential.lease)
    log = server.log.read_text()
    assert dialect.made in log
    for said in (*dialect.furnished, "VALUES (1, 'canary-token-93b1')"):
        log = log.replace(said.format(database=database), "")
    for text in (*told, log):
        for hidden in (secret, database.broker_password, "canary-token-93b1"):
            assert hidden not in text
    assert database.owner_password not in log

"""An agent on a real PostgreSQL or MariaDB, through the real server and its broker: what its task leaves there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from answerable.core.canonical import JSONValue
from tests.worlds.brokered import Desk, capability, desk_on, eventually
from tests.worlds.sql import Database, on_each, servers
from tests.worlds.sql_bench import table

pytestmark = pytest.mark.anyio


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """accounts: asks for those of leases. sleeping: asks for accounts whose statement sleeps. slow: such a statement.
    rows: what the scope says of rows. seen: how many there are then. refused: statements, and what the server says."""

    accounts: str
    sleeping: str
    slow: str
    rows: dict[str, JSONValue]
    seen: int
    refused: tuple[tuple[str, str], ...]


DIALECTS = {
    "postgres": Dialect(
        accounts="SELECT rolname FROM pg_roles WHERE rolname LIKE 'ans\\_%'",
        sleeping="SELECT usename FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
        slow="UPDATE support_messages SET body = 'late' WHERE id = 1 AND pg_sleep(25) IS NOT NULL",
        rows={"rows": {"column": "case_id", "equals": "case-1"}},
        seen=10,
        refused=(
            ("SELECT * FROM integration_tokens", "permission denied for table"),
            ("SELECT secret_note FROM support_messages", "permission denied for table"),
            (
                "WITH gone AS (DELETE FROM support_messages RETURNING 1) SELECT * FROM gone",
                "read-only transaction",
            ),
        ),
    ),
    "mariadb": Dialect(
        accounts="SELECT User FROM mysql.user WHERE User LIKE 'ans\\_%'",
        sleeping="SELECT USER FROM information_schema.PROCESSLIST WHERE STATE = 'User sleep'",
        slow="UPDATE cases SET body = 'late' WHERE id = 1 AND SLEEP(25) = 0",
        rows={},
        seen=50,
        refused=(
            ("SELECT token FROM integration_tokens", "command denied to user 'ans_"),
            ("SELECT secret_note FROM cases", "command denied to user 'ans_"),
        ),
    ),
}


@pytest.fixture(scope="module")
def server_of() -> Iterator[Callable[[Database], Any]]:
    with servers() as running:
        yield running


@pytest.fixture
def server(database: Database, server_of: Callable[[Database], Any]) -> Any:
    return server_of(database)


@pytest.fixture
def dialect(database: Database) -> Dialect:
    return DIALECTS[database.name]


@asynccontextmanager
async def desk_of(root: Path, server: Any, database: Database, dialect: Dialect) -> AsyncIterator[Desk]:
    reads = [table(database.cases, "select", columns=["id", "body"], **dialect.rows)]
    writes = [table(database.cases, "select", "update")]
    on = {"texts": ["sql"], "database": database.home}
    capabilities = (
        capability("case.read", "query", "read", tables=reads, **on),
        capability("case.write", "execute", "write", window="task", tables=writes, **on),
    )
    target = (
        f'kind = "{database.name}"\nport = {server.port}\npassword = "file:secret"\n'
        f'databases = ["{database.home}"]\n'
    )
    secrets = {"secret": database.broker_password}
    async with desk_on(root, target=target, secrets=secrets, capabilities=capabilities) as desk:
        yield desk


async def names(server: Any, asked: str) -> list[str]:
    return [row[0] for row in await server.run(asked)]


@on_each(
    postgres=pytest.mark.requirement("BROKER-01", "BROKER-02", "BROKER-03"),
    mariadb=pytest.mark.requirement("MARIADB-12"),
)
async def test_an_agent_reads_its_case_by_an_account_that_is_gone_with_the_answer(
    tmp_path, server, database, dialect
):
    async with desk_of(tmp_path, server, database, dialect) as desk:
        key = await desk.agent()
        done = await desk.does_call(key, "query", sql=f"SELECT id, body FROM {database.cases} ORDER BY id")
        rows = done["result"]["structuredContent"]["rows"]
        assert rows[0] == [1, "body 1"], done["text"]
        assert len(rows) == dialect.seen
        assert await names(server, dialect.accounts) == []
        for sql, why in dialect.refused:
            refused = await desk.does_call(key, "query", sql=sql)
            assert refused["result"]["isError"], sql
            assert why in refused["text"], "by the server itself"
        assert await names(server, dialect.accounts) == []
        assert await desk.leases() == []
        ended = await desk.leases("--ended")
        assert {one["end"] for one in ended} == {"revoked"}
        assert desk.lease_of(done) in {one["name"] for one in ended}
        session = await desk.session_of(done)
        assert was_of_its_account(database, server.log.read_text(), session, desk.account_of(done))
        assert database.broker_password.encode() not in desk.shown("secret")


def was_of_its_account(database: Database, log: str, session: dict[str, str], account: str) -> bool:
    """Whether the server's log says that the session was of this account."""
    if database.name == "postgres":
        lines = [line.split("|") for line in log.splitlines() if "ORDER BY id" in line]
        return (session["pg_session"], account) in {(line[0], line[2]) for line in lines}
    connect = f"{session['mariadb_connection']} Connect"
    parts = [line.split("\t") for line in log.splitlines()]
    (connected,) = [line for line in parts if connect in " ".join(line[:3]).replace("  ", " ")]
    return connected[-1].startswith(f"{account}@")


@on_each(
    postgres=pytest.mark.requirement("BROKER-06"),
    mariadb=pytest.mark.requirement("MARIADB-12"),
)
async def test_when_a_task_ends_its_account_is_gone_and_its_statement_with_it(
    tmp_path, server, database, dialect
):
    async with desk_of(tmp_path, server, database, dialect) as desk:
        key = await desk.agent()
        first = f"UPDATE {database.cases} SET body = 'seen' WHERE id = 6"
        assert not (await desk.does_call(key, "execute", sql=first))["result"]["isError"]
        assert len(await names(server, dialect.accounts)) == 1
        asked = asyncio.create_task(desk.does_call(key, "execute", sql=dialect.slow))
        busy = await eventually(lambda: names(server, dialect.sleeping), "the statement")
        assert busy == await names(server, dialect.accounts)
        await desk.ends_task()
        said = await asyncio.wait_for(asked, 15)
        assert said["result"]["isError"]
        assert await names(server, dialect.accounts) == []
        assert await names(server, dialect.sleeping) == []
        body = f"SELECT body FROM {database.cases} WHERE id = 1"
        assert [row[0] for row in await server.run(body, database=database.home)] == ["body 1"]

"""An agent on a real MariaDB, through the real server and its broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from answerable.core.canonical import JSONValue
from tests.stand_ins.mariadb_server import BROKER_PASSWORD, MariadbServer
from tests.worlds.brokered import Desk, capability, desk_on, eventually
from tests.worlds.mariadb import furnished_server
from tests.worlds.sql_bench import table

pytestmark = pytest.mark.anyio

READ: JSONValue = [table("cases", "select", columns=["id", "body"])]
WRITE: JSONValue = [table("cases", "select", "update")]
CAPABILITIES = (
    capability("case.read", "query", "read", texts=["sql"], database="shop", tables=READ),
    capability("case.write", "execute", "write", texts=["sql"], window="task", database="shop", tables=WRITE),
)


@pytest.fixture(scope="module")
def server() -> Iterator[MariadbServer]:
    with furnished_server() as running:
        yield running


@asynccontextmanager
async def desk_of(root: Path, server: MariadbServer) -> AsyncIterator[Desk]:
    target = (
        f'kind = "mariadb"\nport = {server.port}\npassword = "file:mariadb-password"\ndatabases = ["shop"]\n'
    )
    secrets = {"mariadb-password": BROKER_PASSWORD}
    async with desk_on(root, target=target, secrets=secrets, capabilities=CAPABILITIES) as desk:
        yield desk


async def accounts(server: MariadbServer) -> list[str]:
    """Of leases, as the owner of the server sees them."""
    return [row[0] for row in await server.run("SELECT User FROM mysql.user WHERE User LIKE 'ans\\_%'")]


async def sleeping(server: MariadbServer) -> list[str]:
    """Accounts whose statement sleeps."""
    busy = "SELECT USER FROM information_schema.PROCESSLIST WHERE STATE = 'User sleep'"
    return [row[0] for row in await server.run(busy)]


@pytest.mark.requirement("MARIADB-12")
async def test_an_agent_reads_its_case_by_an_account_that_is_gone_with_the_answer(tmp_path, server):
    async with desk_of(tmp_path, server) as desk:
        key = await desk.agent()
        done = await desk.does_call(key, "query", sql="SELECT id, body FROM cases WHERE id = 1")
        assert done["result"]["structuredContent"]["rows"] == [[1, "body 1"]], done["text"]
        assert await accounts(server) == []
        for sql in ("SELECT token FROM integration_tokens", "SELECT secret_note FROM cases"):
            refused = await desk.does_call(key, "query", sql=sql)
            assert refused["result"]["isError"], sql
            assert "command denied to user 'ans_" in refused["text"], "by the server itself"
        session = await desk.session_of(done)
        number = session["mariadb_connection"]
        lines = [line.split("\t") for line in server.log.read_text().splitlines()]
        (connected,) = [
            line for line in lines if f"{number} Connect" in " ".join(line[:3]).replace("  ", " ")
        ]
        assert connected[-1].startswith(f"{desk.account_of(done)}@")
        assert BROKER_PASSWORD.encode() not in desk.shown("mariadb-password")


@pytest.mark.requirement("MARIADB-12")
async def test_when_a_task_ends_its_account_is_gone_and_its_statement_with_it(tmp_path, server):
    async with desk_of(tmp_path, server) as desk:
        key = await desk.agent()
        slow = "UPDATE cases SET body = 'late' WHERE id = 1 AND SLEEP(25) = 0"
        asked = asyncio.create_task(desk.does_call(key, "execute", sql=slow))
        busy = await eventually(lambda: sleeping(server), "the statement")
        assert busy == await accounts(server)
        await desk.ends_task()
        said = await asyncio.wait_for(asked, 15)
        assert said["result"]["isError"]
        assert await accounts(server) == []
        assert await sleeping(server) == []
        assert await server.run("SELECT body FROM cases WHERE id = 1", database="shop") == (("body 1",),)

"""Why there is no tool that plans a changing statement on MariaDB: what a real server does when it is asked to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiomysql
import pytest

from tests.stand_ins.mariadb_server import MariadbServer, session_mariadb

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.requirement("ROOM-06"),
    pytest.mark.filterwarnings("ignore:Can't drop"),
]
PASSWORD = "password-of-the-planner"
SHOP = (
    "CREATE DATABASE shop",
    "USE shop",
    "CREATE TABLE cases (id INT PRIMARY KEY, plan VARCHAR(9), KEY (plan)) ENGINE = InnoDB",
    "INSERT INTO cases SELECT seq, IF(seq <= 40, 'Trial', 'Paid') FROM seq_1_to_1000",
    "CREATE TABLE heard (what TEXT) ENGINE = InnoDB",
    "CREATE TABLE kept (what TEXT) ENGINE = Aria",
    "CREATE FUNCTION hear(what TEXT) RETURNS INT DETERMINISTIC MODIFIES SQL DATA"
    " BEGIN INSERT INTO heard VALUES (what); INSERT INTO kept VALUES (what); RETURN 7; END",
    f"CREATE USER planner@localhost IDENTIFIED BY '{PASSWORD}'",
    "GRANT SELECT, UPDATE ON shop.cases TO planner@localhost",
)
"""An account like that of a lease, and a function of somebody else's that says it always gives the same."""


@pytest.fixture(scope="module")
def server():
    with session_mariadb() as made:
        yield made


@pytest.fixture
async def planner(server: MariadbServer) -> AsyncIterator[Any]:
    """A statement, asked as that account."""
    connection = await server.owner()
    cursor = await connection.cursor()
    await cursor.execute("DROP DATABASE IF EXISTS shop")
    await cursor.execute("DROP USER IF EXISTS planner@localhost")
    for statement in SHOP:
        await cursor.execute(statement)
    asking = await aiomysql.connect(
        unix_socket=str(server.socket), user="planner", password=PASSWORD, db="shop", autocommit=True
    )

    async def ask(statement: str) -> Any:
        own = await asking.cursor()
        await own.execute(statement)
        return await own.fetchall() if own.description else ()

    async def told(statement: str) -> Any:
        await cursor.execute(statement)
        return await cursor.fetchall() if cursor.description else ()

    yield ask, told
    asking.close()
    connection.close()


async def test_in_a_transaction_that_cannot_write_no_change_is_planned(planner: Any) -> None:
    ask, _ = planner
    await ask("START TRANSACTION READ ONLY")
    with pytest.raises(aiomysql.Error) as told:
        await ask("EXPLAIN UPDATE cases SET plan = 'Free' WHERE plan = 'Trial'")
    assert told.value.args[0] == 1792


@pytest.mark.filterwarnings("ignore:Some non-transactional")
async def test_in_any_other_planning_runs_functions_and_what_they_do_outlives_the_rollback(
    planner: Any,
) -> None:
    ask, told = planner
    await told("GRANT EXECUTE ON FUNCTION shop.hear TO PUBLIC")
    await ask("START TRANSACTION READ WRITE")
    assert await ask("EXPLAIN UPDATE cases SET plan = 'Free' WHERE id = hear('planned')")
    await ask("ROLLBACK")
    assert await told("SELECT DISTINCT what FROM kept") == (("planned",),)
    assert await told("SELECT plan FROM cases WHERE id = 7") == (("Trial",),), "the update itself did not run"


async def test_planning_takes_locks_and_waits_for_those_of_others(
    planner: Any, server: MariadbServer
) -> None:
    ask, _ = planner
    other = await server.owner("shop")
    await other.autocommit(False)
    held = await other.cursor()
    await held.execute("UPDATE cases SET plan = 'Paid' WHERE id = 7")
    await ask("SET SESSION innodb_lock_wait_timeout = 1")
    await ask("START TRANSACTION READ WRITE")
    joined = "UPDATE cases a JOIN cases b ON a.id = b.id + 1 SET a.plan = 'Free' WHERE b.id = 7"
    with pytest.raises(aiomysql.Error) as told:
        await ask(f"EXPLAIN {joined}")
    assert told.value.args[0] == 1205, "it waited for the row, which it was to plan about alone"
    other.close()

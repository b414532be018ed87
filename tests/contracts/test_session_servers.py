"""The servers of the session: one process for file after file, and nothing of one file on it for the next."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import pytest

from tests.stand_ins.mariadb_server import MariadbServer, session_mariadb
from tests.stand_ins.postgres_server import PostgresServer, session_postgres
from tests.stand_ins.rabbitmq_server import VHOST, RunningRabbit, session_rabbitmq

Left = dict[str, set[str]]
SECONDS_MAX = 120


def on_postgres(server: PostgresServer) -> Left:
    asked = {
        "databases": "SELECT datname FROM pg_database",
        "roles": "SELECT rolname FROM pg_roles",
        "memberships": "SELECT member::regrole::text FROM pg_auth_members",
        "tables": "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace",
        "settings": "SELECT name FROM pg_settings WHERE sourcefile LIKE '%auto.conf'",
        "of roles": "SELECT setrole::regrole::text FROM pg_db_role_setting",
    }
    return {what: {row[0] for row in asyncio.run(server.run(sql))} for what, sql in asked.items()}


def litter_postgres(server: PostgresServer) -> None:
    for sql in (
        'CREATE ROLE shop; CREATE ROLE "odd ""name" LOGIN CREATEROLE; CREATE ROLE ans_1 ROLE shop;'
        ' GRANT shop TO "odd ""name" WITH ADMIN OPTION; SET ROLE "odd ""name"; CREATE ROLE ans_2;'
        " GRANT shop TO ans_2; RESET ROLE; ALTER ROLE shop SET work_mem = '1MB';"
        " CREATE TABLE left_over (id int); GRANT SELECT ON left_over TO shop; ALTER TABLE left_over OWNER TO shop;",
        'CREATE DATABASE "odd ""base" OWNER shop',
        "ALTER SYSTEM SET work_mem = '2MB'",
    ):
        asyncio.run(server.run(sql))


def on_mariadb(server: MariadbServer) -> Left:
    asked = {
        "databases": "SHOW DATABASES",
        "accounts": "SELECT CONCAT(User, '@', Host) FROM mysql.user",
        "roles": "SELECT User FROM mysql.roles_mapping",
        "rights": "SELECT Db FROM mysql.db",
    }
    return {what: {row[0] for row in asyncio.run(server.run(sql))} for what, sql in asked.items()}


def litter_mariadb(server: MariadbServer) -> None:
    asyncio.run(
        server.run(
            "CREATE DATABASE `odd ``base`",
            "CREATE TABLE `odd ``base`.left_over (id INT)",
            "CREATE USER 'odd''name'@'127.0.0.1'",
            "CREATE ROLE lenders",
            "GRANT lenders TO 'odd''name'@'127.0.0.1'",
            "GRANT SELECT ON `odd ``base`.left_over TO 'odd''name'@'127.0.0.1'",
            "GRANT SELECT ON `odd ``base`.* TO lenders",
        )
    )


def on_rabbitmq(server: RunningRabbit) -> Left:
    asked = {"hosts": "/api/vhosts", "accounts": "/api/users", "queues": f"/api/queues/{VHOST}"}
    return {what: {one["name"] for one in server.as_operator("GET", at).json()} for what, at in asked.items()}


def litter_rabbitmq(server: RunningRabbit) -> None:
    for path, content in (
        ("/api/vhosts/odd%2Fhost", {}),
        ("/api/users/ans_1", {"password": "x", "tags": ""}),
        (f"/api/permissions/{VHOST}/ans_1", {"configure": ".*", "write": ".*", "read": ".*"}),
        (f"/api/queues/{VHOST}/left", {"durable": True}),
    ):
        server.as_operator("PUT", path, content).raise_for_status()


KINDS: dict[
    str, tuple[Callable[[], AbstractContextManager[Any]], Callable[[Any], None], Callable[[Any], Left]]
] = {
    "postgres": (session_postgres, litter_postgres, on_postgres),
    "mariadb": (session_mariadb, litter_mariadb, on_mariadb),
    "rabbitmq": (session_rabbitmq, litter_rabbitmq, on_rabbitmq),
}


@pytest.mark.requirement("FAST-01")
@pytest.mark.parametrize("kind", KINDS)
def test_who_gets_a_server_after_somebody_else_finds_the_same_process_and_nothing_of_theirs(kind):
    lent, litter, left_on = KINDS[kind]
    with lent() as first:
        clean = left_on(first)
        litter(first)
        assert left_on(first) != clean
        with lent() as beside:
            assert beside.port != first.port, "it is lent to one at a time"
    ends = time.monotonic() + SECONDS_MAX
    while time.monotonic() < ends:
        # Another one may be free, too, and would be lent each time: it is kept while we ask again. Somebody else may
        # have ours meanwhile: then we ask until it is given back.
        with ExitStack() as kept:
            for _ in range(3):
                second = kept.enter_context(lent())
                if second.port == first.port:
                    assert left_on(second) == clean
                    return
    pytest.fail("nobody gave it back")

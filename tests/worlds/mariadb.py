"""The shop of the lab on a MariaDB server, a broker's account with small rights, and issuer and target on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, ClassVar

import aiomysql

from answerable.adapters.mariadb_accounts import MariadbIssuer, MariadbTarget
from answerable.core.canonical import JSONValue, freeze
from answerable.core.lease.credential import Credential, LeaseOrder
from answerable.core.lease.scope import Scope
from answerable.targets.kind import BuiltTarget
from answerable.testing.clock import ManualClock
from tests.stand_ins.mariadb_server import BROKER_PASSWORD, MariadbServer, own_mariadb, session_mariadb
from tests.worlds.sql_bench import SqlBench, built_target, emptied, lease_order, table

DATABASES = ("shop", "s_op")

# As docs/reference/adapters/mariadb.md tells newcomers; a test reads them there and compares.
BROKER_RIGHTS = f"""\
CREATE USER answerable@'127.0.0.1' IDENTIFIED BY '{BROKER_PASSWORD}';
GRANT CREATE USER, PROCESS, CONNECTION ADMIN ON *.* TO answerable@'127.0.0.1';
GRANT SELECT (User, Host) ON mysql.user TO answerable@'127.0.0.1';
GRANT SELECT ON mysql.db TO answerable@'127.0.0.1';
GRANT SELECT ON mysql.tables_priv TO answerable@'127.0.0.1';
GRANT SELECT ON mysql.columns_priv TO answerable@'127.0.0.1';
GRANT SELECT, INSERT, UPDATE, DELETE ON shop.* TO answerable@'127.0.0.1' WITH GRANT OPTION;
"""
SHOP = (
    "CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(50), region VARCHAR(10)) ENGINE = InnoDB",
    "CREATE TABLE cases (id INT AUTO_INCREMENT PRIMARY KEY, case_id VARCHAR(20) NOT NULL, body TEXT, secret_note TEXT)",
    "CREATE TABLE integration_tokens (id INT PRIMARY KEY, token VARCHAR(50))",
    "CREATE TABLE ca_es (id INT)",
    "CREATE TABLE kept_by_aria (id INT) ENGINE = Aria TRANSACTIONAL = 0",
    "CREATE TABLE `odd ``name``'.\\;x` (id INT, `sel;ect'` INT)",
    "CREATE VIEW case_1 AS SELECT id, body FROM cases WHERE case_id = 'case-1'",
    "INSERT INTO customers SELECT seq, CONCAT('customer ', seq), 'eu' FROM seq_1_to_50",
    "INSERT INTO cases (case_id, body) SELECT CONCAT('case-', seq % 5), CONCAT('body ', seq) FROM seq_1_to_50",
    "INSERT INTO integration_tokens VALUES (1, 'canary-token-93b1')",
    "INSERT INTO ca_es VALUES (1)",
)


async def furnish(server: MariadbServer) -> None:
    for database in DATABASES:
        await server.run(f"CREATE DATABASE {database}")
        await server.run(*SHOP, database=database)
    await server.run(*filter(None, BROKER_RIGHTS.split(";\n")))


@contextmanager
def furnished_server() -> Iterator[MariadbServer]:
    """A server of the session, with databases and accounts of one's own on it: the shop."""
    with session_mariadb() as running:
        asyncio.run(furnish(running))
        yield running


@contextmanager
def own_furnished_server() -> Iterator[MariadbServer]:
    """The same on a server that a test may stop and change."""
    with own_mariadb() as running:
        asyncio.run(furnish(running))
        yield running


def built(server: MariadbServer, **changed: Any) -> BuiltTarget:
    """As wiring builds it."""
    places = {"port": server.port, "databases": ("shop",), **changed}
    return built_target("mariadb", places, password=BROKER_PASSWORD, clock=ManualClock())


def scope(**changed: JSONValue) -> Scope:
    """Reading two columns of the cases."""
    cases = table("cases", "select", columns=["id", "body"])
    return freeze({"database": "shop", "tables": [cases], "rowsMax": 100, "seconds": 5, **changed})


def order(number: int = 1, *, of: Scope | None = None, ttl_ms: int = 60_000) -> LeaseOrder:
    return lease_order(number, of or scope(), ttl_ms)


class MariadbBench(SqlBench):
    """On the shop of a MariaDB server."""

    home = None
    reads = "SELECT id, body FROM shop.cases"
    refusals = (aiomysql.MySQLError,)
    lost = (OSError, aiomysql.MySQLError)
    beside: ClassVar = {
        "another table": "SELECT * FROM shop.integration_tokens",
        "a table whose name a pattern would fit": "SELECT * FROM shop.ca_es",
        "another database": "SELECT id, body FROM s_op.cases",
        "another column": "SELECT secret_note FROM shop.cases",
        "all columns": "SELECT * FROM shop.cases",
        "another verb": "DELETE FROM shop.cases",
        "a write": "INSERT INTO shop.cases (case_id, body) VALUES ('case-1', 'x')",
        "a view": "SELECT * FROM shop.case_1",
        "truncating": "TRUNCATE shop.cases",
        "dropping": "DROP TABLE shop.cases",
        "creating": "CREATE TABLE shop.mine (id INT)",
        "temporary tables": "CREATE TEMPORARY TABLE shop.mine (id INT)",
        "an account": "CREATE USER mine",
        "its own rights": "GRANT ALL ON *.* TO CURRENT_USER()",
        "its own limits": "ALTER USER CURRENT_USER() WITH MAX_USER_CONNECTIONS 0",
        "a role": "SET ROLE root",
        "a file": "SELECT 1 INTO OUTFILE 'mine'",
        "the server's files": "LOAD DATA INFILE 'passwd' INTO TABLE shop.cases",
        "password hashes": "SELECT * FROM mysql.global_priv",
        "settings of the server": "SET GLOBAL general_log = 0",
        "a library": "INSTALL SONAME 'ha_connect'",
        "executing a routine": "CALL mysql.AddGeometryColumn('a', 'b', 'c', 'd', 1)",
    }

    def __init__(self, server: MariadbServer, target: BuiltTarget) -> None:
        assert isinstance(target.issuer, MariadbIssuer)
        assert isinstance(target.target, MariadbTarget)
        self.server = self.stands = server
        self.issuer: MariadbIssuer = target.issuer
        self.target: MariadbTarget = target.target
        self.scope = scope()
        self.hostile = tuple(hostile_scopes())

    async def connect(self, credential: Credential, database: str | None = "shop") -> aiomysql.Connection:
        return await aiomysql.connect(
            host="127.0.0.1",
            port=self.server.port,
            user=credential.account,
            password=credential.secret.reveal("password"),
            db=database,
            autocommit=True,
        )

    async def rows(self, connection: aiomysql.Connection, sql: str) -> Sequence[tuple[Any, ...]]:
        cursor = await connection.cursor()
        await cursor.execute(sql)
        return list(await cursor.fetchall()) if cursor.description else ()

    opened = connect

    async def does(self, connection: aiomysql.Connection, sql: str) -> None:
        await self.rows(connection, sql)

    async def leave(self, connection: aiomysql.Connection) -> None:
        connection.close()


def bench_on(server: MariadbServer, **changed: Any) -> AbstractAsyncContextManager[MariadbBench]:
    """A bench after which no lease is left."""
    return emptied(MariadbBench(server, built(server, **changed)))


def hostile_scopes() -> list[Scope]:
    """Texts that would be more than a name if they were pasted, or patterns if they were taken for some."""
    texts = (
        "x`; DROP TABLE integration_tokens; --",
        "cases` TO CURRENT_USER(); -- ",
        "*",
        "%",
        "c%",
        "\\`",
        "cases`, `integration_tokens",
        "integration_tokens -- ",
        "/*! integration_tokens */",
    )
    scopes = []
    for text in texts:
        scopes.append(scope(tables=[table(text, "select")]))
        scopes.append(scope(tables=[table("cases", "select", columns=[text])]))
    scopes.append(scope(tables=[table("odd `name`'.\\;x", "select", columns=["sel;ect'"])]))
    return scopes

"""The shop of the lab on a PostgreSQL server, a broker's account with small rights, and issuer and target on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from typing import Any, ClassVar

import asyncpg

from answerable.adapters.postgres_roles import PostgresIssuer, PostgresTarget
from answerable.adapters.postgres_roles.connections import LOST
from answerable.core.canonical import JSONValue, freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential, LeaseOrder
from answerable.core.lease.scope import Scope
from answerable.targets.kind import BuiltTarget
from tests.probes.waiting import past
from tests.stand_ins.postgres_server import (
    BROKER_PASSWORD,
    HBA,
    PostgresServer,
    own_postgres,
    session_postgres,
)
from tests.worlds.sql_bench import SqlBench, built_target, emptied, lease_order, table

DATABASES = ("prod", "staging")

# As docs/reference/adapters/postgres.md tells newcomers; a test reads them there and compares.
BROKER_RIGHTS = f"""
CREATE ROLE shop NOLOGIN;
CREATE ROLE answerable LOGIN CREATEROLE PASSWORD '{BROKER_PASSWORD}';
GRANT shop TO answerable;
"""
SHOP = """
CREATE TABLE customers (id int PRIMARY KEY, name text, region text);
CREATE TABLE orders (id serial PRIMARY KEY, customer_id int REFERENCES customers, total numeric);
CREATE TABLE support_messages (id serial PRIMARY KEY, case_id text NOT NULL, body text, secret_note text);
CREATE TABLE integration_tokens (id int PRIMARY KEY, token text);
CREATE TABLE "odd ""name"".x" (id int, "sel;ect" text);
CREATE VIEW open_messages AS SELECT id, body FROM support_messages;
INSERT INTO customers SELECT n, 'customer ' || n, 'eu' FROM generate_series(1, 50) n;
INSERT INTO support_messages (case_id, body, secret_note)
  SELECT 'case-' || n % 5, 'body ' || n, 'note ' || n FROM generate_series(1, 50) n;
INSERT INTO integration_tokens VALUES (1, 'canary-token-93b1');
INSERT INTO "odd ""name"".x" VALUES (1, 'kept');
ALTER TABLE support_messages ENABLE ROW LEVEL SECURITY;
CREATE POLICY everybody ON support_messages USING (true) WITH CHECK (true);
"""


async def furnish(server: PostgresServer) -> None:
    """Databases, tables and the broker's account; everything belongs to the role `shop`."""
    connection = await server.owner()
    await connection.execute(BROKER_RIGHTS)
    for database in DATABASES:
        await connection.execute(f"CREATE DATABASE {database} OWNER shop")
    await connection.close()
    for database in DATABASES:
        connection = await server.owner(database)
        await connection.execute(
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT CREATE ON SCHEMA public TO shop"
        )
        await connection.execute("SET ROLE shop")
        await connection.execute(SHOP)
        await connection.close()


@contextmanager
def furnished_server(hba: str = HBA) -> Iterator[PostgresServer]:
    """A server of the session, with databases and roles of one's own on it: the shop."""
    with session_postgres(hba) as running:
        asyncio.run(furnish(running))
        yield running


@contextmanager
def own_furnished_server() -> Iterator[PostgresServer]:
    """The same on a server that a test may stop and change."""
    with own_postgres() as running:
        asyncio.run(furnish(running))
        yield running


class WallClock:
    """The machine's clock, off by some time."""

    def __init__(self, off_ms: int = 0) -> None:
        self.off_ms = off_ms

    def now(self) -> UnixMillis:
        return UnixMillis(time.time_ns() // 1_000_000 + self.off_ms)

    def monotonic(self) -> float:
        return time.monotonic()


def built(server: PostgresServer, *, clock: WallClock | None = None, **changed: Any) -> BuiltTarget:
    """As wiring builds it."""
    places = {"port": server.port, "databases": DATABASES, **changed}
    return built_target("postgres", places, password=BROKER_PASSWORD, clock=clock or WallClock())


def scope(**changed: JSONValue) -> Scope:
    """Reading the messages of one case."""
    messages: JSONValue = {
        "name": "public.support_messages",
        "verbs": ["select"],
        "columns": ["id", "body"],
        "rows": {"column": "case_id", "equals": "case-1"},
    }
    return freeze({"database": "prod", "tables": [messages], "rowsMax": 100, "seconds": 5, **changed})


def order(number: int = 1, *, of: Scope | None = None, ttl_ms: int = 60_000) -> LeaseOrder:
    return lease_order(number, of or scope(), ttl_ms)


class PostgresBench(SqlBench):
    """On the shop of a PostgreSQL server."""

    home = "prod"
    reads = "SELECT id, body FROM public.support_messages"
    refusals = (asyncpg.PostgresError,)
    lost = (*LOST, asyncpg.PostgresError)
    beside: ClassVar = {
        "another table": "SELECT * FROM public.integration_tokens",
        "another column": "SELECT secret_note FROM public.support_messages",
        "all columns": "SELECT * FROM public.support_messages",
        "another verb": "DELETE FROM public.support_messages",
        "a write": "INSERT INTO public.support_messages (case_id, body) VALUES ('case-1', 'x')",
        "truncating": "TRUNCATE public.support_messages",
        "dropping": "DROP TABLE public.support_messages",
        "creating": "CREATE TABLE public.mine (id int)",
        "a role": "CREATE ROLE mine",
        "its own rights": "ALTER ROLE CURRENT_USER CREATEROLE",
        "its owner": "SET ROLE shop",
        "the broker": "SET ROLE answerable",
        "the owner's session": "SET SESSION AUTHORIZATION owner",
        "a program": "COPY (SELECT 1) TO PROGRAM 'true'",
        "a file": "COPY (SELECT 1) TO '/dev/null'",
        "the server's files": "SELECT pg_read_file('postgresql.conf')",
        "password verifiers": "SELECT * FROM pg_authid",
        "row security off": "ALTER TABLE public.support_messages DISABLE ROW LEVEL SECURITY",
        "a view as its owner": "SELECT * FROM public.open_messages",
    }

    def __init__(self, server: PostgresServer, target: BuiltTarget) -> None:
        assert isinstance(target.issuer, PostgresIssuer)
        assert isinstance(target.target, PostgresTarget)
        self.server = self.stands = server
        self.issuer: PostgresIssuer = target.issuer
        self.target: PostgresTarget = target.target
        assert target.rights is not None
        self.rights = target.rights
        self.scope = scope()
        self.hostile = tuple(hostile_scopes())

    async def connect(self, credential: Credential, database: str | None = "prod") -> asyncpg.Connection:
        return await asyncpg.connect(
            host="127.0.0.1",
            port=self.server.port,
            user=credential.account,
            password=credential.secret.reveal("password"),
            database=database,
        )

    opened = connect

    async def does(self, connection: asyncpg.Connection, sql: str) -> None:
        await connection.execute(sql)

    async def leave(self, connection: asyncpg.Connection) -> None:
        try:
            await connection.close(timeout=5)
        except self.lost:
            connection.terminate()

    def neighbours(self) -> Mapping[str, Callable[[Credential], Awaitable[bool]]]:
        async def other_rows(credential: Credential) -> bool:
            connection = await self.connect(credential)
            try:
                rows = await connection.fetch("SELECT id FROM public.support_messages")
            except asyncpg.PostgresError:
                return False
            finally:
                await connection.close()
            return any(row["id"] % 5 != 1 for row in rows)

        in_staging = partial(self.lets, sql="SELECT id FROM public.support_messages", database="staging")
        return {
            "other rows": other_rows,
            "the same table of another database": in_staging,
            **super().neighbours(),
        }

    async def passed(self, credential: Credential) -> None:
        await past(credential.expires_at + 100)


def bench_on(server: PostgresServer, **changed: Any) -> AbstractAsyncContextManager[PostgresBench]:
    """A bench after which no lease is left."""
    return emptied(PostgresBench(server, built(server, **changed)))


def hostile_scopes() -> list[Scope]:
    """Texts that would be more than a name or a value if they were pasted."""
    texts = (
        "x'; DROP TABLE public.integration_tokens; --",
        '"; GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC; --',
        "case-1' OR 'a'='a",
        "\\'; SELECT 1; --",
        "$$ OR true $$",
        "E'\\x27 OR true --",
        "case-1\n;COMMIT;",
    )
    scopes = []
    for text in texts:
        rows: JSONValue = {"column": "case_id", "equals": text}
        scopes.append(scope(tables=[table("public.support_messages", "select", columns=["id"], rows=rows)]))
        scopes.append(scope(tables=[table(["public", text], "select")]))
        scopes.append(scope(tables=[table("public.support_messages", "select", columns=[text])]))
    scopes.append(scope(tables=[table(["public", 'odd "name".x'], "select", columns=["sel;ect"])]))
    return scopes

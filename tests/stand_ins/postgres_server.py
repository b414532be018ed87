"""PostgreSQL servers of tests: that of the session, or one of a test's own, of which nothing is left."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from tests.probes.loud_skips import skip_loudly
from tests.stand_ins.database_server import DatabaseServer, own_database
from tests.stand_ins.session_servers import copied, lent

OWNER_PASSWORD = "owner-of-the-test-server"
BROKER_PASSWORD = "canary-broker-7f3a91"
HBA = """
local all all trust
host all all 127.0.0.1/32 scram-sha-256
"""
SETTINGS = """
listen_addresses = '127.0.0.1'
max_connections = 300
fsync = off
shared_buffers = 32MB
log_line_prefix = '%c|%l|%u|%a|%v|%x| '
log_statement = all
log_connections = on
logging_collector = off
autovacuum = off
"""


def programs() -> Path:
    """The folder of the newest server that is installed, or of ANSWERABLE_TEST_POSTGRES_BIN; skips where none is."""
    named = os.environ.get("ANSWERABLE_TEST_POSTGRES_BIN", "")
    if named:
        return Path(named)
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parents[1].name)
    )
    if not found:
        skip_loudly("PostgreSQL", "apt-get install postgresql", name="postgres")
    return found[-1].parent


class PostgresServer(DatabaseServer):
    """bin_folder: where its programs are. settings: of its own."""

    crash = signal.SIGQUIT

    def __init__(self, folder: Path, bin_folder: Path, settings: str = SETTINGS) -> None:
        super().__init__(folder)
        self.bin = bin_folder
        self.log = folder / "log"
        self._settings = settings

    def begin(self) -> None:
        """Make and start it."""
        copied("postgres-made", self._made, self.folder / "state")
        self.admit()
        with (self.folder / "state/postgresql.conf").open("a") as file:
            file.write(f"{self._settings}\nport = {self.port}\nunix_socket_directories = '{self.folder}'\n")
        self.start()

    def _made(self, state: Path) -> None:
        password = state.with_suffix(".password")
        password.write_text(OWNER_PASSWORD)
        password.chmod(0o644)
        self._make(
            state, self.bin / "initdb", "-D", state, "-U", "owner", "-A", "scram-sha-256", "--no-sync",
            "--encoding=UTF8", "--locale=C", f"--pwfile={password}",
        )  # fmt: skip

    def admit(self, hba: str = HBA) -> None:
        """Who may sign in how, as soon as the server reads it."""
        (self.folder / "state/pg_hba.conf").write_text(hba)

    def start(self) -> None:
        self._process = self._started(self.bin / "postgres", "-D", self.folder / "state", log=self.log)
        deadline = time.monotonic() + 30
        while True:
            ready = subprocess.run(
                [self.bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False
            )
            if ready.returncode == 0:
                return
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(self.log.read_text()[-2000:])
            time.sleep(0.05)

    def clean(self) -> None:
        """As a new one is: no databases, no roles, no settings, no sessions and no lines of the log of before."""
        self.admit()
        asyncio.run(self._clean())
        os.truncate(self.log, 0)

    async def _clean(self) -> None:
        connection = await self.owner()
        try:
            await connection.execute("ALTER SYSTEM RESET ALL")
            await connection.execute("SELECT pg_reload_conf()")
            for row in await connection.fetch(
                "SELECT quote_ident(datname) FROM pg_database"
                " WHERE NOT datistemplate AND datname <> 'postgres'"
            ):
                await connection.execute(f"DROP DATABASE {row[0]} WITH (FORCE)")
            roles = await connection.fetch(
                "SELECT quote_ident(rolname) FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> 'owner'"
            )
            if names := ", ".join(row[0] for row in roles):
                await connection.execute(f"DROP OWNED BY {names} CASCADE; DROP ROLE {names}")
        finally:
            await connection.close()

    async def owner(self, database: str = "postgres") -> asyncpg.Connection:
        return await asyncpg.connect(
            host="127.0.0.1", port=self.port, user="owner", password=OWNER_PASSWORD, database=database
        )

    async def run(self, sql: str, database: str = "postgres") -> list[asyncpg.Record]:
        """As the superuser: several statements, or one that returns rows."""
        connection = await self.owner(database)
        try:
            if ";" in sql:
                await connection.execute(sql)
                return []
            return list(await connection.fetch(sql))
        finally:
            await connection.close()

    @asynccontextmanager
    async def acting(self, database: str = "postgres") -> AsyncIterator[Callable[[str], Awaitable[Any]]]:
        """As the superuser, one statement after another in one session."""
        connection = await self.owner(database)
        try:
            yield connection.fetch
        finally:
            await connection.close()


@contextmanager
def session_postgres(hba: str = HBA) -> Iterator[PostgresServer]:
    """A server of the session, with nothing on it. Not for tests that stop it or change its settings."""
    bin_folder = programs()
    with lent("postgres", lambda folder: PostgresServer(folder, bin_folder)) as server:
        server.admit(hba)
        asyncio.run(server.run("SELECT pg_reload_conf()"))
        yield server


@contextmanager
def own_postgres(settings: str = SETTINGS) -> Iterator[PostgresServer]:
    """A server that a test may stop, and change as it likes."""
    bin_folder = programs()
    with own_database("postgres", lambda folder: PostgresServer(folder, bin_folder, settings)) as server:
        yield server

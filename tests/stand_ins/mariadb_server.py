"""MariaDB servers of tests: that of the session, or one of a test's own, of which nothing is left."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiomysql

from tests.probes.loud_skips import skip_loudly
from tests.stand_ins.database_server import DatabaseServer, own_database
from tests.stand_ins.session_servers import copied, lent

OWNER_PASSWORD = "owner-of-the-test-server"
BROKER_PASSWORD = "canary-broker-51c9d2"


class MariadbServer(DatabaseServer):
    """options: of its own, from its next start on."""

    crash = signal.SIGKILL

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.log = folder / "general.log"
        self.socket = folder / "socket"
        self.options: list[str] = []

    def begin(self) -> None:
        """Make and start it, and give the owner a password."""
        copied("mariadb-made", self._made, self.folder / "state")
        self.start()
        asyncio.run(self._own())

    async def _own(self) -> None:
        connection = await self.owner(password="")
        cursor = await connection.cursor()
        await cursor.execute(f"ALTER USER root@localhost IDENTIFIED BY '{OWNER_PASSWORD}'")
        connection.close()

    def _made(self, state: Path) -> None:
        self._make(
            state, "mariadb-install-db", "--no-defaults", f"--datadir={state}", "--skip-test-db",
            "--auth-root-authentication-method=normal", "--innodb-flush-log-at-trx-commit=0",
            "--innodb-log-file-size=8M",
        )  # fmt: skip

    def start(self) -> None:
        self._process = self._started(
            "mariadbd", "--no-defaults", f"--datadir={self.folder / 'state'}", f"--port={self.port}",
            "--bind-address=127.0.0.1", f"--socket={self.socket}", f"--pid-file={self.folder / 'pid'}",
            "--innodb-flush-log-at-trx-commit=0", "--innodb-log-file-size=8M", "--skip-name-resolve",
            "--general-log=1", f"--general-log-file={self.log}", "--max-connections=400",
            "--performance-schema=ON", *self.options, log=self.folder / "log",
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while True:
            try:
                # The last door that it opens.
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(str(self.socket))
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text()[-2000:]) from None
                time.sleep(0.05)

    def clean(self) -> None:
        """As a new one is: no databases, no accounts, no sessions and no lines of the log of before."""
        asyncio.run(self._clean())
        os.truncate(self.log, 0)

    async def _clean(self) -> None:
        accounts = await self.run(
            "SELECT CONCAT(QUOTE(User), IF(is_role = 'Y', '', CONCAT('@', QUOTE(Host)))), is_role FROM mysql.user"
            " WHERE User NOT IN ('root', 'mariadb.sys', 'PUBLIC')"
        )
        databases = await self.run(
            "SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN"
            " ('information_schema', 'mysql', 'performance_schema', 'sys')"
        )
        sessions = await self.run(
            "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND user <> 'system user'"
        )
        await self.run(
            *(f"KILL SOFT CONNECTION {row[0]}" for row in sessions),
            *(f"DROP {'ROLE' if row[1] == 'Y' else 'USER'} {row[0]}" for row in accounts),
            *(f"DROP DATABASE `{row[0].replace('`', '``')}`" for row in databases),
        )
        left = await self.run(
            "SELECT Db FROM mysql.db UNION SELECT Db FROM mysql.tables_priv WHERE User <> 'mariadb.sys'"
        )
        if left:
            raise RuntimeError(f"rights on {left[0][0]} are left")

    async def owner(self, database: str | None = None, password: str = OWNER_PASSWORD) -> aiomysql.Connection:
        return await aiomysql.connect(
            unix_socket=str(self.socket), user="root", password=password, db=database, autocommit=True
        )

    async def run(self, *statements: str, database: str | None = None) -> Sequence[tuple[Any, ...]]:
        """As the owner: the rows of the last."""
        rows: Sequence[tuple[Any, ...]] = ()
        async with self.acting(database) as run:
            for statement in statements:
                rows = await run(statement)
        return rows

    @asynccontextmanager
    async def acting(self, database: str | None = None) -> AsyncIterator[Callable[[str], Awaitable[Any]]]:
        """As the owner, one statement after another in one session."""
        connection = await self.owner(database)
        cursor = await connection.cursor()

        async def run(statement: str) -> Any:
            await cursor.execute(statement)
            return await cursor.fetchall() if cursor.description else ()

        try:
            yield run
        finally:
            connection.close()


def programs() -> None:
    """Skips where the server's are not installed."""
    if not shutil.which("mariadbd") or not shutil.which("mariadb-install-db"):
        skip_loudly("MariaDB", "apt-get install mariadb-server", name="mariadb")


@contextmanager
def session_mariadb() -> Iterator[MariadbServer]:
    """A server of the session, with nothing on it. Not for tests that stop it or change its settings."""
    programs()
    with lent("mariadb", MariadbServer) as server:
        yield server


@contextmanager
def own_mariadb() -> Iterator[MariadbServer]:
    """A server that a test may stop, and change as it likes."""
    programs()
    with own_database("mariadb", MariadbServer) as server:
        yield server

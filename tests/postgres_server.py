"""A PostgreSQL server of a test's own: its folder, its port, its account; nothing is left of it."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from tests.loud_skips import skip_loudly

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
    """The folder of the newest server that is installed, or of ANSWERABLE_TEST_POSTGRES_BIN."""
    named = os.environ.get("ANSWERABLE_TEST_POSTGRES_BIN", "")
    if named:
        return Path(named)
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parents[1].name)
    )
    if not found:
        skip_loudly("PostgreSQL", "apt-get install postgresql", name="postgres")
    return found[-1].parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PostgresServer:
    """Runs as `nobody` where we are root, which the server wants."""

    def __init__(self, folder: Path, bin_folder: Path) -> None:
        self.folder = folder
        self.bin = bin_folder
        self.port = free_port()
        self.log = folder / "log"
        self._user: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._user = nobody.pw_uid
            shutil.chown(folder, nobody.pw_uid, nobody.pw_gid)

    def keep(self, name: str, octets: bytes) -> Path:
        """A file that only the server reads."""
        path = self.folder / name
        path.write_bytes(octets)
        path.chmod(0o600)
        if self._user is not None:
            os.chown(path, self._user, -1)
        return path

    def make(self, settings: str = SETTINGS) -> None:
        password = self.folder / "owner"
        password.write_text(OWNER_PASSWORD)
        password.chmod(0o644)
        self._run(
            "initdb", "-D", str(self.folder / "state"), "-U", "owner", "-A", "scram-sha-256", "--no-sync",
            "--encoding=UTF8", "--locale=C", f"--pwfile={password}",
        )  # fmt: skip
        (self.folder / "state/pg_hba.conf").write_text(HBA)
        with (self.folder / "state/postgresql.conf").open("a") as file:
            file.write(f"{settings}\nport = {self.port}\nunix_socket_directories = '{self.folder}'\n")

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self.bin / "postgres", "-D", str(self.folder / "state")],
                stdout=log, stderr=log, user=self._user, cwd=self.folder,
            )  # fmt: skip
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

    def stop(self) -> None:
        """At once, as a crash would."""
        if self._process is not None:
            self._process.send_signal(3)
            self._process.wait(timeout=30)
            self._process = None

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

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self.bin / program, *arguments],
            capture_output=True,
            user=self._user,
            cwd=self.folder,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr.decode()[-2000:])


@contextmanager
def postgres_server(settings: str = SETTINGS) -> Iterator[PostgresServer]:
    bin_folder = programs()
    folder = Path(tempfile.mkdtemp(prefix="answerable-pg-"))
    folder.chmod(0o755)
    server = PostgresServer(folder, bin_folder)
    try:
        server.make(settings)
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)

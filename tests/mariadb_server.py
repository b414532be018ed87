"""A MariaDB server of a test's own: its folder, its port, its account; nothing is left of it."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiomysql

from tests.loud_skips import skip_loudly

OWNER_PASSWORD = "owner-of-the-test-server"
BROKER_PASSWORD = "canary-broker-51c9d2"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class MariadbServer:
    """Runs as `nobody` where we are root, which the server wants."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.log = folder / "general.log"
        self.socket = folder / "socket"
        self.options: list[str] = []
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

    def make(self) -> None:
        done = subprocess.run(
            [
                "mariadb-install-db", "--no-defaults", f"--datadir={self.folder / 'state'}", "--skip-test-db",
                "--auth-root-authentication-method=normal", "--innodb-flush-log-at-trx-commit=0",
                "--innodb-log-file-size=8M",
            ],
            capture_output=True, user=self._user, cwd=self.folder, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(done.stdout.decode()[-2000:] + done.stderr.decode()[-2000:])

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "mariadbd", "--no-defaults", f"--datadir={self.folder / 'state'}", f"--port={self.port}",
                    "--bind-address=127.0.0.1", f"--socket={self.socket}", f"--pid-file={self.folder / 'pid'}",
                    "--innodb-flush-log-at-trx-commit=0", "--innodb-log-file-size=8M", "--skip-name-resolve",
                    "--general-log=1", f"--general-log-file={self.log}", "--max-connections=400",
                    "--performance-schema=ON", *self.options,
                ],
                stdout=log, stderr=log, user=self._user, cwd=self.folder,
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

    def stop(self) -> None:
        """At once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=30)
            self._process = None

    async def owner(self, database: str | None = None, password: str = OWNER_PASSWORD) -> aiomysql.Connection:
        return await aiomysql.connect(
            unix_socket=str(self.socket), user="root", password=password, db=database, autocommit=True
        )

    async def run(self, *statements: str, database: str | None = None) -> Sequence[tuple[Any, ...]]:
        """As the owner: the rows of the last."""
        connection = await self.owner(database)
        rows: Sequence[tuple[Any, ...]] = ()
        cursor = await connection.cursor()
        for statement in statements:
            await cursor.execute(statement)
            rows = await cursor.fetchall() if cursor.description else ()
        connection.close()
        return rows


@contextmanager
def mariadb_server() -> Iterator[MariadbServer]:
    if not shutil.which("mariadbd") or not shutil.which("mariadb-install-db"):
        skip_loudly("MariaDB", "apt-get install mariadb-server", name="mariadb")
    folder = Path(tempfile.mkdtemp(prefix="answerable-mariadb-"))
    folder.chmod(0o755)
    server = MariadbServer(folder)
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)

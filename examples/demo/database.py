"""A PostgreSQL server of the demo's own: its folder, its port, and where we are root an account without rights. Nothing
of it is left afterwards."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import anyio
from anyio.abc import Process
from company import SetUpError
from product import last_lines

FILES: Final = Path(__file__).with_name("support_db")
START_SECONDS_MAX: Final = 60.0
STOP_SECONDS_MAX: Final = 10.0
POLL_SECONDS: Final = 0.05
REMOVALS_MAX: Final = 20
LOG_CHARS_SHOWN: Final = 1_500
UNPRIVILEGED: Final = "nobody"
"""PostgreSQL does not run as root."""
NEEDED: Final = ("postgres", "initdb", "psql", "pg_isready")

SETTINGS: Final = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
fsync = off
shared_buffers = 16MB
"""
HBA: Final = """
host  all      owner,answerable  127.0.0.1/32  scram-sha-256
host  support  all               127.0.0.1/32  password
"""
"""The last line asks whoever has a lease for the password itself: see wire.py."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What psql said: its exit code, and what it wrote, errors too."""

    code: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A running server with the support cases on it. programs: the folder of PostgreSQL's."""

    programs: Path
    port: int
    broker_password: str = field(repr=False)
    owner_password: str = field(repr=False)

    async def run(self, sql: str, *, database: str = "support") -> list[str]:
        """As the superuser, past product and agent; returns lines, columns parted by `|`. Raises SetUpError."""
        said = await self.asked(sql, account="owner", password=self.owner_password, database=database)
        if said.code:
            raise SetUpError(f"PostgreSQL: {said.text.strip()}")
        return said.text.splitlines()

    async def asked(self, sql: str, *, account: str, password: str, database: str = "support") -> Said:
        """What psql says to one or more statements, as this account. The password is in no argument."""
        # From a file: whom the server refuses reads nothing, and would leave a pipe broken.
        with tempfile.TemporaryFile() as statements:
            statements.write(sql.encode())
            statements.seek(0)
            done = await anyio.run_process(
                self.line(account, database), stdin=statements, stderr=subprocess.STDOUT, check=False,
                env=self.environment(password),
            )  # fmt: skip
        return Said(code=done.returncode, text=done.stdout.decode())

    def line(self, account: str, database: str = "support") -> list[str]:
        """How psql is started for it: statements on standard input, plain output, an end at the first error."""
        where = ("-h", "127.0.0.1", "-p", str(self.port), "-U", account, "-d", database)
        return [str(self.programs / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *where]

    @staticmethod
    def environment(password: str) -> dict[str, str]:
        """Untouched by the settings of whoever runs this."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return {**kept, "PGPASSWORD": password, "PGCONNECT_TIMEOUT": "10", "PGCLIENTENCODING": "UTF8"}


def find_programs(named: str) -> Path:
    """The folder of PostgreSQL's programs: the named one, else that of the newest version which is installed.

    Raises SetUpError.
    """
    debian = sorted(
        (path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdigit()),
        key=lambda path: int(path.parent.name),
        reverse=True,
    )
    on_path = shutil.which("postgres")
    found = [*debian, *([Path(on_path).resolve().parent] if on_path else [])]
    for folder in [Path(named).absolute()] if named else found:
        if all((folder / name).exists() for name in NEEDED):
            return folder
    raise SetUpError(
        f"{named or 'this machine'} has no PostgreSQL ({', '.join(NEEDED)}). On Debian and Ubuntu, as root: apt-get "
        "install postgresql; elsewhere name the folder of its programs, `--postgres DIR`. The demo starts a server of "
        "its own and touches no other. Without --postgres it needs none"
    )


@asynccontextmanager
async def support_database(programs: Path) -> AsyncIterator[Database]:
    """A server with the support cases on it, for as long as the block runs. Raises SetUpError."""
    # Not in the demo's home: an account without rights must be able to enter it.
    folder = Path(tempfile.mkdtemp(prefix="answerable-demo-postgres-"))
    try:
        who = _who(folder)
        made = Database(
            programs=programs,
            port=_free_port(),
            broker_password=secrets.token_urlsafe(24),
            owner_password=secrets.token_urlsafe(24),
        )
        await _made(made, folder, who)
        log = folder / "log"
        with log.open("wb") as output:
            process = await anyio.open_process(
                [str(programs / "postgres"), "-D", str(folder / "state")],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder,
                # Ctrl-C at a terminal is for us: the broker needs the server until it has ended its leases.
                start_new_session=True, **who,
            )  # fmt: skip
        try:
            await _answering(made, process, log)
            text = (FILES / "support.sql").read_text()
            await made.run(f"\\set broker_password {made.broker_password}\n{text}", database="postgres")
            yield made
        finally:
            with anyio.CancelScope(shield=True):
                await _stopped(process)
    finally:
        _removed(folder)


def _removed(folder: Path) -> None:
    """Also where a program that was cut off still writes into it."""
    for _ in range(REMOVALS_MAX):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(POLL_SECONDS)


def _who(folder: Path) -> dict[str, Any]:
    """As whom the server runs, as arguments of a process."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam(UNPRIVILEGED)
    os.chown(folder, account.pw_uid, account.pw_gid)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _made(made: Database, folder: Path, who: dict[str, Any]) -> None:
    password = folder / "owner"
    password.touch(mode=0o600)
    password.write_text(made.owner_password)
    if who:
        os.chown(password, who["user"], who["group"])
    done = await anyio.run_process(
        [
            str(made.programs / "initdb"), "-D", str(folder / "state"), "-U", "owner", "-A", "scram-sha-256",
            "--no-sync", "--encoding=UTF8", "--locale=C", f"--pwfile={password}",
        ],
        stderr=subprocess.STDOUT, cwd=folder, check=False, **who,
    )  # fmt: skip
    password.unlink()
    if done.returncode:
        raise SetUpError(f"PostgreSQL's initdb failed: {done.stdout.decode().strip()[-LOG_CHARS_SHOWN:]}")
    (folder / "state/pg_hba.conf").write_text(HBA)
    with (folder / "state/postgresql.conf").open("a") as settings:
        settings.write(SETTINGS.format(port=made.port))


async def _answering(made: Database, process: Process, log: Path) -> None:
    ready = [str(made.programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(made.port)]
    with anyio.move_on_after(START_SECONDS_MAX):
        while process.returncode is None:
            if (await anyio.run_process(ready, check=False)).returncode == 0:
                return
            await anyio.sleep(POLL_SECONDS)
    raise SetUpError(f"PostgreSQL did not start:\n{last_lines(log)}")


async def _stopped(process: Process) -> None:
    """Sessions are ended and the server with them; at once, where that takes too long."""
    for last_word in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if process.returncode is not None:
            return
        process.send_signal(last_word)
        with anyio.move_on_after(STOP_SECONDS_MAX):
            await process.wait()

"""A PostgreSQL that asks the accounts of leases for their passwords in plain text, and a wire that is listened to.

So a test gets the very credential that the broker minted, from where a thief at the target would take it, and nothing
in the product has to give it away. The broker's own account goes on proving itself by SCRAM.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import asyncpg

from tests.stand_ins.postgres_server import PostgresServer
from tests.worlds.postgres import furnished_server

HBA = """
local all all trust
host all owner,answerable 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 password
"""
DONE = "done"
LOGIN_REFUSED = ("28P01", "28000")
"""invalid_password and invalid_authorization_specification, in the codes of the SQL standard."""
CUT = "08003"
"""connection_does_not_exist: the session ended while it was opened, as those of a role do that is being taken away."""
NO_RIGHT = "42501"
"""insufficient_privilege."""
LOCK = 7


@contextmanager
def asking_server() -> Iterator[PostgresServer]:
    """The shop, on a server that asks for passwords in plain text."""
    with furnished_server(HBA) as server:
        yield server


@dataclass(frozen=True)
class Login:
    """What one session of a lease was opened with."""

    account: str
    password: str
    database: str

    @property
    def lease(self) -> str:
        return self.account.removeprefix("ans_")


@dataclass
class Tap:
    """Between the broker and the server. logins: of leases, oldest first."""

    server: PostgresServer
    port: int = 0
    logins: list[Login] = field(default_factory=list)

    async def connect(self, login: Login, database: str = "") -> asyncpg.Connection:
        """Directly, past broker and tap. Raises what the driver raises."""
        return await asyncpg.connect(
            host="127.0.0.1", port=self.server.port, user=login.account, password=login.password,
            database=database or login.database, timeout=10,
        )  # fmt: skip

    async def used(self, login: Login, sql: str, database: str = "") -> str:
        """What the server makes of it, by the simple protocol, which takes several statements: DONE or its SQLSTATE."""
        try:
            connection = await self.connect(login, database)
        except asyncpg.PostgresError as refused:
            return str(refused.sqlstate)
        try:
            await connection.execute(sql)
        except asyncpg.PostgresError as refused:
            return str(refused.sqlstate)
        finally:
            await connection.close()
        return DONE

    async def lets_in(self, login: Login) -> bool:
        found = await self.used(login, "SELECT 1")
        assert found in (DONE, CUT, *LOGIN_REFUSED), found
        return found == DONE

    async def accounts(self) -> list[str]:
        """Of leases, as the server knows them."""
        return [
            row["rolname"]
            for row in await self.server.run("SELECT rolname FROM pg_roles WHERE rolname LIKE 'ans\\_%'")
        ]

    @asynccontextmanager
    async def held_up(self) -> AsyncIterator[asyncio.Event]:
        """Statements that take advisory lock 7 wait while the block runs. The event: one of them has come to wait."""
        owner = await self.server.owner("prod")
        await owner.execute(f"SELECT pg_advisory_lock({LOCK})")
        come = asyncio.Event()
        looking = asyncio.create_task(_looked(owner, come))
        try:
            yield come
        finally:
            looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await looking
            owner.terminate()


async def _looked(owner: asyncpg.Connection, come: asyncio.Event) -> None:
    while not await owner.fetchval(  # noqa: ASYNC110 - what is waited for has no event
        f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {LOCK} AND NOT granted"
    ):
        await asyncio.sleep(0.02)
    come.set()


@asynccontextmanager
async def tapped(server: PostgresServer) -> AsyncIterator[Tap]:
    """Listening, on a port of its own."""
    tap = Tap(server)

    async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, out = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_pumped(inner, writer))
                await _heard(tap, reader, out)
                await _pumped(reader, out)
        except* (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            out.close()
            writer.close()

    listener = await asyncio.start_server(passed_on, "127.0.0.1", 0)
    tap.port = listener.sockets[0].getsockname()[1]
    try:
        yield tap
    finally:
        listener.close()


async def _heard(tap: Tap, reader: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
    """The startup message, and the password where one comes next (PostgreSQL documentation, 55.7, Message Formats)."""
    size = await reader.readexactly(4)
    rest = await reader.readexactly(struct.unpack("!I", size)[0] - 4)
    out.write(size + rest)
    words = rest[4:].rstrip(b"\0").split(b"\0")
    said = dict(zip(words[::2], words[1::2], strict=False))
    account = said.get(b"user", b"").decode()
    if not account.startswith("ans_"):
        return
    head = await reader.readexactly(5)
    body = await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)
    out.write(head + body)
    assert head[:1] == b"p", "no password was sent"
    tap.logins.append(Login(account, body.rstrip(b"\0").decode(), said[b"database"].decode()))


async def _pumped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()

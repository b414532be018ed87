"""Pool the connections of the broker's own account, and translate their failures."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Final

import anyio
import asyncpg

from answerable.connection_fault import connection_fault
from answerable.core.lease.password_tries import others_to_try
from answerable.errors import Unavailable, UnavailableCode, shown
from answerable.errors.codes.leases import LEASE_TARGET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from answerable.errors import Effect
    from answerable.targets.sql.server import ServerPlace

PORT: Final = "credential_issuer"
LOST: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""Exceptions that mean the connection is lost. asyncpg raises the last one if the server has just closed the connection
and the driver has read the reason but not yet the end."""
NO_ENTRY: Final = (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)
ROLLBACK_SECONDS_MAX: Final = 2.0


class AdminConnections:
    """A bounded pool for each database. A connection that failed, or whose user was cancelled, is closed at once, so
    that the server rolls back whatever was not committed."""

    def __init__(self, place: ServerPlace, *, per_database_max: int) -> None:
        self._place = place
        self._idle: dict[str, list[asyncpg.Connection]] = defaultdict(list)
        self._places: dict[str, anyio.Semaphore] = defaultdict(lambda: anyio.Semaphore(per_database_max))
        self._is_closed = False

    @asynccontextmanager
    async def of(self, database: str) -> AsyncIterator[asyncpg.Connection]:
        """Yield a connection that is not in a transaction. Raises Unavailable (`lease.target`)."""
        async with self._places[database]:
            connection = await self._taken(database)
            try:
                yield connection
            except asyncpg.PostgresError:
                await self._rolled_back(database, connection)
                raise
            except BaseException:
                connection.terminate()
                raise
            self._give_back(database, connection)

    async def close(self) -> None:
        """Close the idle connections; the others close when they are returned."""
        self._is_closed = True
        for idle in self._idle.values():
            while idle:
                connection = idle.pop()
                # Do not wait for an orderly close with a server that does not answer.
                with anyio.move_on_after(ROLLBACK_SECONDS_MAX), suppress(*LOST, asyncpg.PostgresError):
                    await connection.close()
                connection.terminate()

    async def _taken(self, database: str) -> asyncpg.Connection:
        idle = self._idle[database]
        while idle:
            connection = idle.pop()
            if not connection.is_closed():
                return connection
        with unavailable(effect="none"):
            return await entered(self._place, database)

    async def _rolled_back(self, database: str, connection: asyncpg.Connection) -> None:
        try:
            if connection.is_in_transaction():
                with anyio.fail_after(ROLLBACK_SECONDS_MAX):
                    await connection.execute("ROLLBACK")
        except BaseException as failure:
            connection.terminate()
            if not isinstance(failure, (*LOST, asyncpg.PostgresError)):
                raise
            return
        self._give_back(database, connection)

    def _give_back(self, database: str, connection: asyncpg.Connection) -> None:
        if self._is_closed or connection.is_closed() or connection.is_in_transaction():
            connection.terminate()
        else:
            self._idle[database].append(connection)


async def entered(place: ServerPlace, database: str) -> asyncpg.Connection:
    """Connect as the broker's own account. Raises the driver's exceptions: NO_ENTRY if the server accepts no
    password."""
    first = place.password()
    try:
        return await logged_in(place, database, first)
    except NO_ENTRY as refused:
        for other in others_to_try(first, place.others):
            with suppress(*NO_ENTRY):
                return await logged_in(place, database, other)
        raise refused


async def logged_in(place: ServerPlace, database: str, password: str) -> asyncpg.Connection:
    """Connect as the broker's own account with this password only."""
    return await asyncpg.connect(
        host=place.host,
        port=place.port,
        user=place.account,
        password=password,
        database=database,
        ssl=place.tls or False,
        timeout=place.seconds_max,
        command_timeout=place.seconds_max,
        server_settings={
            "application_name": "answerable broker",
            "search_path": "pg_catalog",
            "standard_conforming_strings": "on",
            "lock_timeout": f"{int(place.lock_seconds_max * 1000)}ms",
            "statement_timeout": f"{int(place.seconds_max * 1000)}ms",
            "idle_in_transaction_session_timeout": f"{int(place.seconds_max * 1000)}ms",
        },
    )


@contextmanager
def unavailable(*, effect: Effect, code: UnavailableCode = LEASE_TARGET, port: str = PORT) -> Iterator[None]:
    """Translate the driver's exceptions into Unavailable, without the statement that was sent."""
    try:
        yield
    except LOST as lost:
        raise _unavailable("cannot reach the server", lost, effect=effect, code=code, port=port) from None
    except asyncpg.PostgresError as refused:
        raise _unavailable("the server refuses it", refused, effect=effect, code=code, port=port) from None


def _unavailable(
    what: str, why: Exception, *, effect: Effect, code: UnavailableCode, port: str
) -> Unavailable:
    return code(f"{what}: {words_of(why)}", port=port, effect=effect)


def words_of(failure: BaseException) -> str:
    """Return the server's or driver's message in one line, without the details that quote what was sent."""
    if isinstance(failure, TimeoutError | asyncio.TimeoutError):
        return "no answer in time"
    if isinstance(failure, OSError):
        return shown(connection_fault(failure))
    first = str(failure.args[0]) if failure.args else ""
    return shown(" ".join(first.split()) or type(failure).__name__)

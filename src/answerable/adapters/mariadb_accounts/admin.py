"""Pool the connections of the broker's own MariaDB account."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

import anyio

from answerable.adapters.mariadb_accounts.connection import (
    LOST,
    REFUSED,
    entered,
    number_of,
    run,
    words_of,
)
from answerable.errors.codes.leases import LEASE_SCOPE, LEASE_TARGET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import aiomysql

    from answerable.errors import Effect
    from answerable.targets.sql.server import ServerPlace

LABEL: Final = "answerable broker"
_OF_SCOPE: Final = frozenset({1044, 1045, 1054, 1102, 1103, 1142, 1143, 1144, 1146, 1147, 1166, 1227, 1410})
"""Error numbers for unknown names, and for rights that the broker's account lacks or may not grant."""


class AdminConnections:
    """Connection pool of limited size. A connection that failed or whose caller was cancelled is closed at once: the
    server completes its current statement and then ends the session, which releases its locks."""

    def __init__(self, place: ServerPlace, *, connections_max: int) -> None:
        self._place = place
        self._idle: list[aiomysql.Connection] = []
        self._places = anyio.Semaphore(connections_max)
        self._is_closed = False

    @asynccontextmanager
    async def one(self) -> AsyncIterator[aiomysql.Connection]:
        """Yield one connection. Raises Unavailable (`lease.target`). Statements in the block raise the driver's
        errors."""
        async with self._places:
            connection = await self._taken()
            try:
                with anyio.fail_after(self._place.seconds_max):
                    yield connection
            except BaseException:
                connection.close()
                raise
            if self._is_closed:
                connection.close()
            else:
                self._idle.append(connection)

    async def close(self) -> None:
        """Close the idle connections; those in use are closed when they are returned."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()

    async def _taken(self) -> aiomysql.Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and not connection._reader.at_eof():
                return connection
        place = self._place
        with unreached(effect="none"):
            connection = await entered(place, label=LABEL)
            seconds = max(1, int(place.seconds_max))
            await run(
                connection,
                f"SET SESSION autocommit = 1, max_statement_time = {seconds}, lock_wait_timeout = {seconds}",
            )
        return connection


@contextmanager
def unreached(*, effect: Effect) -> Iterator[None]:
    """Convert the driver's errors to Unavailable (`lease.target`): in every case the server did not confirm success."""
    try:
        yield
    except (*LOST, REFUSED) as failure:
        said = "the server does not let it" if number_of(failure) else "cannot reach the server"
        raise LEASE_TARGET(f"{said}: {words_of(failure)}", effect=effect) from None


@contextmanager
def ungranted() -> Iterator[None]:
    """Like `unreached`, for statements whose refusal may be the scope's fault. Raises Refused (`lease.scope`),
    Unavailable."""
    with unreached(effect="unknown"):
        try:
            yield
        except REFUSED as failure:
            if number_of(failure) not in _OF_SCOPE:
                raise
            raise LEASE_SCOPE(f"the scope cannot be granted: {words_of(failure)}") from None

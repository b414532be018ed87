"""Open PostgreSQL sessions that are logged in as the role of a lease only."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio
import asyncpg

from answerable.adapters.postgres_roles.connections import LOST, words_of
from answerable.adapters.postgres_roles.session import PostgresSession
from answerable.adapters.postgres_roles.tools import TOOLS
from answerable.errors import Unavailable
from answerable.errors.codes.leases import TARGET_CONNECTION, TARGET_POOLED
from answerable.targets.sql.server import once_there_is_room
from answerable.targets.sql.terms import terms_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.credential import Credential
    from answerable.targets.sql.server import ServerPlace

CLOSE_SECONDS_MAX: Final = 2.0
_STARTED: Final = (
    "SELECT to_hex(trunc(extract(epoch FROM backend_start))::bigint) || '.' || to_hex(pid) AS id, pid"
    " FROM pg_stat_activity WHERE pid = pg_backend_pid()"
)
"""The session id as `%c` of `log_line_prefix` prints it: the session's start time and process id."""


class PostgresTarget:
    """Connects to one server. place: the server; its account and password belong to the issuer, and are not used
    here."""

    def __init__(self, place: ServerPlace, *, bytes_max: int) -> None:
        self._place = place
        self._bytes_max = bytes_max

    def tools(self) -> tuple[Mapping[str, JSONValue], ...]:
        return TOOLS

    @asynccontextmanager
    async def connected(self, credential: Credential) -> AsyncIterator[PostgresSession]:
        """Open a session. The session id is read before any text of an agent is sent."""
        terms = terms_of(credential)
        connection = await self._connected(credential, terms.database)
        try:
            try:
                started = await connection.fetchrow(_STARTED)
            except (*LOST, asyncpg.PostgresError) as lost:
                raise _unreached(lost) from None
            if started is None or started["pid"] != connection.get_server_pid():
                raise TARGET_POOLED(
                    "there is a pooler before the server, so sessions would be shared between "
                    "leases: configure the address of the server itself"
                )
            yield PostgresSession(connection, terms, session_id=started["id"], bytes_max=self._bytes_max)
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_SECONDS_MAX):
                try:
                    await connection.close()
                except (*LOST, asyncpg.PostgresError):
                    pass
            connection.terminate()

    async def _connected(self, credential: Credential, database: str) -> asyncpg.Connection:
        try:
            return await once_there_is_room(
                lambda: self._logged_in(credential, database),
                lambda failed: isinstance(failed, asyncpg.TooManyConnectionsError),
            )
        except (*LOST, asyncpg.PostgresError) as lost:
            raise _unreached(lost) from None

    async def _logged_in(self, credential: Credential, database: str) -> asyncpg.Connection:
        place = self._place
        return await asyncpg.connect(
            host=place.host,
            port=place.port,
            user=credential.account,
            password=credential.secret.reveal("password"),
            database=database,
            ssl=place.tls or False,
            timeout=place.seconds_max,
            statement_cache_size=0,
            server_settings={
                "application_name": credential.lease,
                "standard_conforming_strings": "on",
            },
        )


def _unreached(lost: Exception) -> Unavailable:
    return TARGET_CONNECTION(f"cannot open a session: {words_of(lost)}")

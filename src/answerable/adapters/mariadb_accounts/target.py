"""Act on MariaDB for agents, in sessions that are logged in only as the lease's account."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from answerable.adapters.mariadb_accounts.session import MariadbSession
from answerable.adapters.mariadb_accounts.tools import TOOLS
from answerable.targets.sql.terms import terms_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.credential import Credential
    from answerable.targets.sql.server import ServerPlace


class MariadbTarget:
    """A MariaDB server as a broker target. place: the server's address; its account and password are the issuer's and
    are not used."""

    def __init__(self, place: ServerPlace, *, bytes_max: int) -> None:
        self._place = place
        self._bytes_max = bytes_max

    def tools(self) -> tuple[Mapping[str, JSONValue], ...]:
        return TOOLS

    @asynccontextmanager
    async def connected(self, credential: Credential) -> AsyncIterator[MariadbSession]:
        """Return a session. Each call logs in by itself: a login beforehand would be one that no action explains."""
        terms = terms_of(credential)
        session = MariadbSession(self._place, credential, terms, bytes_max=self._bytes_max)
        try:
            yield session
        finally:
            session.close()

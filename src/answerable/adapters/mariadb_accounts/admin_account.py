"""Change the password of the broker's own MariaDB account. The server receives only the password's hash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.adapters.mariadb_accounts.connection import (
    LOST,
    NO_ENTRY,
    REFUSED,
    connected,
    number_of,
    run,
    words_of,
)
from answerable.adapters.mariadb_accounts.quoting import native_hash
from answerable.errors import Unavailable
from answerable.errors.codes.leases import ACCOUNT_REFUSED, ACCOUNT_TARGET
from answerable.targets.own_account import let_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    import aiomysql

    from answerable.errors import Effect
    from answerable.targets.sql.server import ServerPlace

LABEL: Final = "answerable rotation"
_NOT_LET: Final = frozenset({1044, 1131, 1142, 1227, 1290, 1699})
"""The account lacks the right, or has no password."""
_GONE: Final = 1094
"""The session has already ended."""
SESSIONS: Final = (
    "SELECT ID FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND "
    "USER = SUBSTRING_INDEX(CURRENT_USER(), '@', 1)"
)


class MariadbOwnAccount:
    """Implements ports.admin_account.AdminAccount."""

    def __init__(self, place: ServerPlace) -> None:
        self._place = place

    @property
    def place(self) -> str:
        return f"mariadb {self._place.account}@{self._place.host}:{self._place.port}"

    async def set_to(self, new: str, *, known: Sequence[str], cuts: bool) -> None:
        """Set the password to `new`. An account needs no further right to change its own password."""
        connection = await let_in(self.place, known, self._entered)
        try:
            # The server requires a literal, which is safe: the hash is an asterisk and hexadecimal digits.
            await run(connection, f"SET PASSWORD = '{native_hash(new)}'")
            if cuts:
                await _cut(connection)
        except (*LOST, REFUSED) as failure:
            if number_of(failure) in _NOT_LET:
                message = f"the server does not let the account change its password: {words_of(failure)}"
                raise ACCOUNT_REFUSED(message) from None
            raise _away(failure, "unknown") from None
        finally:
            connection.close()

    async def takes(self, value: str) -> bool:
        connection = await self._entered(value)
        if connection is not None:
            connection.close()
        return connection is not None

    async def _entered(self, value: str) -> aiomysql.Connection | None:
        """Log in; None if the server rejects the password."""
        place = self._place
        try:
            return await connected(place, account=place.account, password=value, database="", label=LABEL)
        except (*LOST, REFUSED) as failure:
            if number_of(failure) == NO_ENTRY:
                return None
            raise _away(failure, "none") from None


async def _cut(connection: aiomysql.Connection) -> None:
    for (number,) in await run(connection, SESSIONS):
        try:
            await run(connection, f"KILL CONNECTION {int(number)}")
        except REFUSED as failure:
            if number_of(failure) != _GONE:
                raise


def _away(failure: BaseException, effect: Effect) -> Unavailable:
    said = "the server does not let it" if number_of(failure) else "cannot reach the server"
    return ACCOUNT_TARGET(f"{said}: {words_of(failure)}", effect=effect)

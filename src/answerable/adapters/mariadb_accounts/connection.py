"""Connect to MariaDB more strictly than the driver does.

The driver enables multiple statements per request, continues in the clear if a server claims to have no TLS, and sends
the plain password if a server requests it. This module disables all three. It changes private members of the driver, so
tests check that the driver still obeys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import aiomysql
import anyio
from pymysql.constants import CLIENT

from answerable.adapters.mariadb_accounts.quoting import hexed
from answerable.core.lease.password_tries import others_to_try
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.targets.sql.server import ServerPlace

NATIVE: Final = "mysql_native_password"
LOST: Final = (
    OSError,
    TimeoutError,
    aiomysql.OperationalError,
    aiomysql.InterfaceError,
    aiomysql.InternalError,
)
"""What the driver raises when a connection is lost. Some of these are refusals by the server: see `number_of`."""
REFUSED: Final = aiomysql.MySQLError
NO_ENTRY: Final = 1045
"""Access denied: the password is wrong or there is no such account."""
CLIENT_ERRORS_FROM: Final = 2000
"""Error numbers from here to 2999 are the client's own: the server has not answered."""
CLIENT_ERRORS_TO: Final = 2999


class _StrictConnection(aiomysql.Connection):  # type: ignore[misc]
    """Connection without multiple statements, with enforced TLS and only the native password plugin; see the module."""

    def __init__(self, **given: Any) -> None:
        super().__init__(auth_plugin=NATIVE, local_infile=False, **given)
        self.client_flag &= ~CLIENT.MULTI_STATEMENTS

    async def _request_authentication(self) -> None:
        if self._ssl_context and not self.server_capabilities & CLIENT.SSL:
            raise aiomysql.OperationalError(2026, "the server offers no TLS, which the settings want")
        await super()._request_authentication()

    async def _process_auth(self, plugin_name: bytes, auth_packet: Any) -> Any:
        if plugin_name != NATIVE.encode():
            raise aiomysql.OperationalError(
                2059,
                f"the server asks for {plugin_name.decode(errors='replace')}, and gets no password that way",
            )
        return await super()._process_auth(plugin_name, auth_packet)


async def connected(
    place: ServerPlace, *, account: str, password: str, database: str, label: str
) -> aiomysql.Connection:
    """Open a session, in the server's default transaction mode. label: program name, which the server lists among the
    session's attributes. Raises the errors in LOST and REFUSED."""
    where = (
        {"unix_socket": place.host}
        if place.host.startswith("/")
        else {"host": place.host, "port": place.port}
    )
    connection = _StrictConnection(
        user=account,
        password=password,
        db=database or None,
        charset="utf8mb4",
        ssl=place.tls,
        connect_timeout=place.seconds_max,
        autocommit=None,
        program_name=label,
        **where,
    )
    with anyio.fail_after(place.seconds_max):
        await connection._connect()
    return connection


async def entered(place: ServerPlace, *, label: str) -> aiomysql.Connection:
    """Log in as the broker's own account. Raises as `connected`."""
    first = place.password()
    try:
        return await connected(place, account=place.account, password=first, database="", label=label)
    except REFUSED as refused:
        if number_of(refused) != NO_ENTRY:
            raise
        for other in others_to_try(first, place.others):
            try:
                return await connected(place, account=place.account, password=other, database="", label=label)
            except REFUSED as again:
                if number_of(again) != NO_ENTRY:
                    raise
        raise refused


async def run(connection: aiomysql.Connection, statement: str, *texts: str) -> Sequence[tuple[Any, ...]]:
    """Run one statement of our own; the driver interpolates nothing. texts: one value for each `?`, sent in
    hexadecimal."""
    first, *others = statement.split("?")
    filled = first + "".join(hexed(text) + other for text, other in zip(texts, others, strict=True))
    cursor = await connection.cursor()
    await cursor.execute(filled)
    rows: Sequence[tuple[Any, ...]] = await cursor.fetchall() if cursor.description else ()
    await cursor.close()
    return rows


def number_of(failure: BaseException) -> int:
    """Return the server's error number; 0 if the server did not answer."""
    number = failure.args[0] if failure.args else 0
    if not isinstance(failure, REFUSED) or not isinstance(number, int):
        return 0
    return 0 if CLIENT_ERRORS_FROM <= number <= CLIENT_ERRORS_TO else number


def words_of(failure: BaseException) -> str:
    """Return the server's or driver's message, on one line."""
    if isinstance(failure, TimeoutError):
        return "no answer in time"
    said = failure.args[1] if len(failure.args) > 1 else (failure.args[0] if failure.args else "")
    return shown(" ".join(str(said).split()) or type(failure).__name__)

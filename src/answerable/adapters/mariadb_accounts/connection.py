"""A connection to MariaDB that is stricter than the driver's own.

The driver asks the server for several statements at a time, goes on in the clear where a server says that it knows no
TLS, and hands out the password itself where a server asks for it. None of that happens here; tests hold the driver to
it, as the places where it is changed are its private ones.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import aiomysql
import anyio
from pymysql.constants import CLIENT

from answerable.adapters.mariadb_accounts.quoting import hexed
from answerable.core.lease.password_tries import others_to_try
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

NATIVE: Final = "mysql_native_password"
LOST: Final = (
    OSError,
    TimeoutError,
    aiomysql.OperationalError,
    aiomysql.InterfaceError,
    aiomysql.InternalError,
)
"""What the driver raises when a connection is at its end; some of these are refusals, which `number_of` tells."""
REFUSED: Final = aiomysql.MySQLError
NO_ENTRY: Final = 1045
"""Access denied: the password is another one, or there is no such account."""
CLIENT_ERRORS_FROM: Final = 2000
"""Numbers of errors of the client's own are from here to 2999: the server said nothing."""
CLIENT_ERRORS_TO: Final = 2999


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPlace:
    """Where a server is and who asks there. host: a name or address, or the path of a Unix socket. password: read
    whenever a connection is made. tls: None for none. others: tried after it where the server refuses it, for it may be
    just being changed there."""

    host: str
    port: int
    account: str
    password: Callable[[], str]
    tls: ssl.SSLContext | None
    seconds_max: float
    others: Callable[[], Iterable[str]] = tuple


class _StrictConnection(aiomysql.Connection):  # type: ignore[misc]
    """As the docstring of the module says."""

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
    """A session, in the server's default for transactions. label: as the server's list of attributes shows it.
    Raises what LOST and REFUSED name."""
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
    """As the broker's own account. Raises as `connected`."""
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
    """One statement of ours, with nothing that the driver would fill in. texts: what stands for each `?`."""
    first, *others = statement.split("?")
    filled = first + "".join(hexed(text) + other for text, other in zip(texts, others, strict=True))
    cursor = await connection.cursor()
    await cursor.execute(filled)
    rows: Sequence[tuple[Any, ...]] = await cursor.fetchall() if cursor.description else ()
    await cursor.close()
    return rows


def number_of(failure: BaseException) -> int:
    """The server's number of an error; 0 where the server said nothing."""
    number = failure.args[0] if failure.args else 0
    if not isinstance(failure, REFUSED) or not isinstance(number, int):
        return 0
    return 0 if CLIENT_ERRORS_FROM <= number <= CLIENT_ERRORS_TO else number


def words_of(failure: BaseException) -> str:
    """What the server or the driver says, in one line."""
    if isinstance(failure, TimeoutError):
        return "no answer in time"
    said = failure.args[1] if len(failure.args) > 1 else (failure.args[0] if failure.args else "")
    return shown(" ".join(str(said).split()) or type(failure).__name__)

"""Connect to a Redis server: one connection with its account, the server's id for it, and a limit on answers."""

from __future__ import annotations

import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import redis.asyncio.connection as library
from redis._parsers import _AsyncRESP3Parser
from redis.exceptions import RedisError, ResponseError

from answerable.errors import shown
from answerable.targets.addresses import parts_of, plain_faults

if TYPE_CHECKING:
    from collections.abc import Sequence

Argument = str | bytes

FAILURES: Final = (RedisError, OSError, EOFError, TimeoutError, ValueError)
"""Exceptions of a failed connection. `ResponseError` is among them: the server refused."""
HANDSHAKE_BYTES_MAX: Final = 65_536


class TooLong(Exception):
    """The answer exceeds the limit; the position in the connection's stream is lost."""


class _BoundedParser(_AsyncRESP3Parser):
    """The parser of redis-py with a size limit, which it lacks."""

    bytes_left: int = HANDSHAKE_BYTES_MAX

    async def _read(self, length: int) -> bytes:
        self._spend(length)
        return await super()._read(length)

    async def _readline(self) -> bytes:
        line = await super()._readline()
        self._spend(len(line) + 2)
        return line

    def _spend(self, octets: int) -> None:
        self.bytes_left -= octets
        if self.bytes_left < 0:
            raise TooLong


class Line:
    """One connection of one account. Not for concurrent use."""

    __slots__ = ("_connection", "client_id", "local")

    def __init__(self, connection: Any, client_id: str, local: str) -> None:
        # Much of the library is untyped.
        self._connection = connection
        self.client_id = client_id
        self.local = local

    async def is_good(self) -> bool:
        """Whether the connection is open and the server has sent nothing unsolicited."""
        return bool(self._connection.is_connected) and not await self._connection.can_read()

    async def ask(self, commands: Sequence[Sequence[Argument]], *, bytes_max: int) -> list[Any]:
        """Send commands together and return the answers; a refusal is returned as a `ResponseError`. Raises FAILURES
        and TooLong, after which the connection is closed."""
        if not self._connection.is_connected:
            # The library would otherwise reconnect, and the server would assign another client id.
            raise ConnectionError("the connection is closed")
        try:
            await self._connection.send_packed_command(
                self._connection.pack_commands(commands), check_health=False
            )
            return [await self._answer(bytes_max) for _ in commands]
        except BaseException:
            self.drop()
            raise

    async def _answer(self, bytes_max: int) -> Any:
        parser = self._connection._parser
        assert isinstance(parser, _BoundedParser)  # noqa: S101 - given by `opened`
        parser.bytes_left = bytes_max
        try:
            return await self._connection.read_response(disable_decoding=True)
        except ResponseError as said:
            return said

    def drop(self) -> None:
        """Close the connection without waiting."""
        self._connection._close()

    async def close(self) -> None:
        """Close the connection in any state."""
        with suppress(*FAILURES):
            await self._connection.disconnect(nowait=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisServer:
    """A Redis server. address: `redis://HOST:PORT`, `rediss://HOST:PORT` with TLS, or `unix:///PATH`. tls: for
    `rediss`."""

    address: str
    tls: ssl.SSLContext | None = None
    connect_seconds_max: float = 5.0

    async def opened(self, account: str, password: str, *, label: str = "") -> Line:
        """Open a connection under this account. label: the connection's name at the server. Raises FAILURES, among them
        an `AuthenticationError` if the account is refused."""
        answer: dict[Any, Any] = {}

        async def greet(connection: Any) -> None:
            # The library's own handshake discards the answer, and sends commands that no lease is granted.
            connection._parser.on_connect(connection)
            named = ["SETNAME", label] if label else []
            await connection.send_command("HELLO", "3", "AUTH", account, password, *named, check_health=False)
            answer.update(await connection.read_response())

        connection: Any = self._connection(greet)
        try:
            await connection.connect()
        except BaseException:
            connection._close()
            raise
        writer = connection._writer
        local = writer.get_extra_info("sockname") if writer is not None else None
        shown_local = f"{local[0]}:{local[1]}" if isinstance(local, tuple) else "unix"
        return Line(connection, str(answer.get(b"id", "")), shown_local)

    def _connection(self, greet: Any) -> library.AbstractConnection:
        parts = urlsplit(self.address)
        shared: dict[str, Any] = {
            "protocol": 3,
            "parser_class": _BoundedParser,
            "driver_info": None,
            "socket_connect_timeout": self.connect_seconds_max,
            "socket_timeout": None,
            "redis_connect_func": greet,
        }
        if parts.scheme == "unix":
            return library.UnixDomainSocketConnection(path=parts.path, **shared)
        host, port = parts.hostname or "", parts.port or 6379
        if parts.scheme == "rediss":
            connection = library.SSLConnection(host=host, port=port, **shared)
            connection.ssl_context.context = self.tls
            return connection
        return library.Connection(host=host, port=port, **shared)


def address_faults(address: str, *, plain_is_let: bool) -> tuple[str, ...]:
    """Return the faults of an address."""
    parts, faults = parts_of(address)
    if parts is None:
        return faults
    if parts.query or parts.fragment or (parts.scheme != "unix" and parts.path not in ("", "/")):
        return (
            f"{shown(address)} says more than where the server is: database 0 is the one that leases are kept to",
        )
    if parts.scheme == "unix":
        return (
            () if parts.path.startswith("/") and not parts.netloc else ("the path of a socket is absolute",)
        )
    if parts.scheme not in ("redis", "rediss") or not parts.hostname or parts.port == 0:
        return (f"{shown(address)} is none of redis://HOST:PORT, rediss://HOST:PORT and unix:///PATH",)
    return plain_faults(parts, ("redis", "rediss"), plain_is_let=plain_is_let)

"""Connect to RabbitMQ by AMQP 0.9.1 as one user."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import anyio
from aiormq import Connection
from aiormq.connection import TransportFactory
from aiormq.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelInvalidStateError,
    ProbableAuthenticationError,
)
from pamqp.commands import Connection as ConnectionFrames
from pamqp.exceptions import PAMQPException
from yarl import URL

FAILURES: Final = (
    AMQPError,
    ChannelInvalidStateError,
    PAMQPException,
    OSError,
    EOFError,
    TimeoutError,
    ValueError,
)
"""Exceptions of a failed connection."""
CLOSE_SECONDS_MAX: Final = 2.0
CloseFrame: Final = ConnectionFrames.Close

if TYPE_CHECKING:
    from aiormq.abc import AbstractConnection


class _Dialled(TransportFactory):
    """Opens the connection as the library does, and records the name that the server gives it."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self._tls = tls
        self.name = ""

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(host=url.host, port=url.port, ssl=self._tls)
        local, peer = writer.get_extra_info("sockname"), writer.get_extra_info("peername")
        self.name = f"{_end(local)} -> {_end(peer)}"
        return reader, writer


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitServer:
    """A RabbitMQ server. address: `amqps://HOST:PORT`, or `amqp://HOST:PORT`. tls: for `amqps`."""

    address: str
    vhost: str
    tls: ssl.SSLContext | None = None
    connect_seconds_max: float = 10.0

    async def opened(self, account: str, password: str) -> tuple[AbstractConnection, str]:
        """Open a connection. Returns it with the server's name for it. Raises FAILURES."""
        parts = urlsplit(self.address)
        url = URL.build(
            scheme=parts.scheme,
            host=parts.hostname or "",
            port=parts.port or (5671 if parts.scheme == "amqps" else 5672),
            user=account,
            password=password,
            path="/" + self.vhost.replace("/", "%2F"),
            encoded=False,
        ).update_query(name=account)
        dialled = _Dialled(self.tls)
        connection = Connection(url, transport_factory=dialled)
        connection.vhost = self.vhost
        try:
            with anyio.fail_after(self.connect_seconds_max):
                await connection.connect()
        except BaseException:
            await closed(connection)
            raise
        return connection, dialled.name


def was_refused(failed: BaseException) -> bool:
    """Whether the server refused the user, or its access to the virtual host."""
    if isinstance(failed, ProbableAuthenticationError | AuthenticationError):
        return True
    # The library reports a refused virtual host as a protocol error.
    return any(isinstance(part, CloseFrame) for part in failed.args)


async def closed(connection: AbstractConnection) -> None:
    """Close a connection in any state."""
    with anyio.move_on_after(CLOSE_SECONDS_MAX, shield=True):
        try:
            await connection.close()
        except (*FAILURES, asyncio.CancelledError):
            return


def _end(address: object) -> str:
    return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else ""

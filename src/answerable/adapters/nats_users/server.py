"""Open a connection to a NATS server as one user, and check server addresses."""

from __future__ import annotations

import base64
import re
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio
import nats.errors
from nats.aio.client import Client

from answerable.adapters.nats_users.tokens import SigningKey, signing_key
from answerable.errors.codes.leases import TARGET_KEY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

FAILURES: Final = (nats.errors.Error, OSError, EOFError, TimeoutError, ValueError)
"""Exceptions of a failed connection."""
CLOSE_SECONDS_MAX: Final = 2.0

_PARTS: Final = re.compile(r"-+BEGIN [A-Z ]+-+\s+(\S+)\s+-+END [A-Z ]+-+")


class PlainServer(OSError):
    """The server would continue without TLS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsUser:
    """A user's token and key."""

    token: str
    key: SigningKey

    def __repr__(self) -> str:
        return "NatsUser((hidden))"


def user_of(credentials: str) -> NatsUser:
    """Parse a credentials file of the NATS tools. Raises Malformed (`target.key`)."""
    parts = _PARTS.findall(credentials)
    if len(parts) != 2:
        raise TARGET_KEY("a NATS credentials file must have a token and a seed")
    return NatsUser(token=parts[0], key=signing_key(parts[1], of="U"))


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsServer:
    """A configured server. address: `nats://HOST:PORT`, or `tls://HOST:PORT`. tls: for the latter."""

    address: str
    tls: ssl.SSLContext | None = None
    connect_seconds_max: float = 5.0

    async def opened(
        self,
        user: NatsUser,
        *,
        label: str,
        inbox: str,
        on_error: Callable[[Exception], Awaitable[None]],
        on_closed: Callable[[], Awaitable[None]] | None = None,
    ) -> Client:
        """Open a connection that does not reconnect by itself. label: client name. inbox: prefix of its answers'
        subjects. Raises FAILURES."""
        client = Client()

        def presented() -> bytes:
            # Called after the server has stated its requirements and before the client has sent anything.
            if self.tls is not None and not client._server_info.get("tls_required"):
                raise PlainServer
            return user.token.encode()

        def signed(nonce: str) -> bytes:
            return base64.b64encode(user.key.sign(nonce.encode()))

        options: dict[str, Any] = {"tls": self.tls} if self.tls is not None else {}
        try:
            with anyio.fail_after(self.connect_seconds_max):
                await client.connect(
                    self.address,
                    name=label,
                    user_jwt_cb=presented,
                    signature_cb=signed,
                    inbox_prefix=inbox,
                    allow_reconnect=False,
                    error_cb=on_error,
                    closed_cb=on_closed,
                    connect_timeout=max(1, round(self.connect_seconds_max)),
                    **options,
                )
        except BaseException:
            await closed(client)
            raise
        return client


async def closed(client: Client) -> None:
    """Close a connection in any state."""
    with anyio.move_on_after(CLOSE_SECONDS_MAX, shield=True):
        try:
            await client.close()
        except FAILURES:
            return


async def unheard(error: Exception) -> None:
    """Ignore an asynchronous error of a connection: the pending call fails as well."""

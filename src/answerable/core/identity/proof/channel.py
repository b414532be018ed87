"""Facts that a connection itself proves about its peer, before any message is read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

import msgspec

from answerable.core.base64url import to_base64url

CHANNEL_EXTENSION: Final = "answerable.peer"
"""Where the HTTP front stores the `Channel` of a request: `scope["extensions"][CHANNEL_EXTENSION]`."""
EXCHANGE_EXTENSION: Final = "answerable.exchange"
"""Where it stores what it offers for this request beside ASGI: see `apps.mcp_gateway.exchange`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerCredentials:
    """The process that connected to a Unix socket, as the kernel recorded it at connection time.

    started: start time in clock ticks since boot, 0 if the process had already exited; together with the pid it
    identifies one process.
    """

    pid: int
    uid: int
    gid: int
    started: int = 0


class Channel(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One message on one connection; the server's HTTP front makes it for each request.

    connection: number of the connection in this process, ascending. sequence: number of the message on the connection,
    from 1. peer: for Unix sockets. certificate: SHA-256, hex, of the client certificate that the TLS handshake
    verified. certificates: the chain that the client sent, DER, its own certificate first; the others are not verified.
    A plain TCP connection has neither and proves nothing.
    """

    connection: int
    sequence: int
    peer: PeerCredentials | None = None
    certificate: str = ""
    certificates: tuple[bytes, ...] = ()

    @property
    def uid(self) -> int | None:
        """User id of the peer process, None if the kernel does not report it."""
        return self.peer.uid if self.peer is not None else None

    @property
    def certificate_thumbprint(self) -> str:
        """`x5t#S256` (RFC 8705, section 3.1) of the client certificate, empty without one and for a Unix peer."""
        return _thumbprint(self.certificate) if self.certificate and self.peer is None else ""

    @property
    def process(self) -> str:
        """SHA-256, base64url, of what identifies the peer process; empty if the kernel identifies none."""
        peer = self.peer
        return _process(peer.uid, peer.pid, peer.started) if peer is not None and peer.started else ""


@lru_cache(maxsize=4_096)
def _thumbprint(certificate: str) -> str:
    return to_base64url(bytes.fromhex(certificate))


@lru_cache(maxsize=4_096)
def _process(uid: int, pid: int, started: int) -> str:
    return to_base64url(sha256(b"unix\0%d\0%d\0%d" % (uid, pid, started)).digest())

"""Extend uvicorn's HTTP protocol: report what each connection proves, and bound what unauthenticated callers can
occupy."""

from __future__ import annotations

import itertools
import socket
import struct
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from answerable.adapters.uvicorn_front.descriptors import KEPT, has_place
from answerable.adapters.uvicorn_front.exchange import HttpExchange
from answerable.adapters.uvicorn_front.half_closed import INTERIM, KNOWN, HalfClosed
from answerable.core.identity.proof.channel import (
    CHANNEL_EXTENSION,
    EXCHANGE_EXTENSION,
    Channel,
    PeerCredentials,
)

if TYPE_CHECKING:
    import asyncio

    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

HEAD_BYTES_MAX: Final = 65_536
"""Bytes of the request line and fields of one request."""
CERTIFICATES_MAX: Final = 8
"""Certificates of one chain."""
HEAD_SECONDS_MAX: Final = 15.0
"""Seconds from the first byte of a request, or from connecting, until its fields are complete."""

STRANGERS_MAX: Final = 32
"""Concurrent connections of users whom a listener does not serve. No other limit counts them."""

_DER: Final = 2  # _ssl.ENCODING_DER, which has no public name.
_UCRED: Final = struct.Struct("3i")
# Field 22 of /proc/PID/stat, counted from behind the command, which may contain anything.
_STARTED_FIELD: Final = 19
_connections = itertools.count(1)


class ChannelProtocol(HttpToolsProtocol):
    """Puts a `Channel` and an `HttpExchange` into `scope["extensions"]` of every request.

    Fields after the body (trailers) are dropped: an application that has checked the fields must not see other fields
    later.
    """

    def __init__(
        self,
        *args: Any,
        uids: frozenset[int] | None = None,
        strangers: set[ChannelProtocol] | None = None,
        descriptors_kept: int = KEPT,
        **kwargs: Any,
    ) -> None:
        """uids: the users that the listener serves; None for all. strangers: connections of all other users, shared by
        the listener's connections. descriptors_kept: as in FrontLimits."""
        super().__init__(*args, **kwargs)
        self._uids = uids
        self._strangers = strangers if strangers is not None else set()
        self._descriptors_kept = descriptors_kept
        self._connection = 0
        self._sequence = 0
        self._peer: PeerCredentials | None = None
        self._certificate = ""
        self._certificates: tuple[bytes, ...] = ()
        self._head_open = False
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._running: RequestResponseCycle | None = None
        self._exchange: HttpExchange | None = None
        self._half_closed: HalfClosed | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        self._connection = next(_connections)
        tls = transport.get_extra_info("ssl_object")
        connected = transport.get_extra_info("socket")
        local = connected is not None and connected.family == socket.AF_UNIX
        if not has_place(connected, kept=self._descriptors_kept, local=local):
            cast("asyncio.Transport", transport).abort()
            return
        if tls is None:
            self._peer = peer_credentials(connected)
            self._set_apart(cast("asyncio.Transport", transport))
        else:
            self._certificates = certificates_of(tls)
            self._certificate = sha256(self._certificates[0]).hexdigest() if self._certificates else ""
        self._start_head_timer()

    def _set_apart(self, transport: asyncio.Transport) -> None:
        """Count the connection of an unserved user separately, so that such connections never take the places of served
        users."""
        if self._uids is None or (self._peer is not None and self._peer.uid in self._uids):
            return
        self.connections.discard(self)
        if len(self._strangers) >= STRANGERS_MAX:
            transport.abort()
        self._strangers.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._strangers.discard(self)
        if self._half_closed is not None:
            self._half_closed.end()
            self._half_closed = None
        super().connection_lost(exc)
        # uvicorn notifies only the newest request of a connection, and the running request may have others queued
        # behind it.
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        if self._exchange is not None:
            self._exchange.left()

    def eof_received(self) -> Any:
        """Return True to keep the connection for the answers of a client that has sent whole requests and only ends its
        direction. Otherwise it has left, or must count as such: over TLS, which the event loops end as a whole, and
        where nothing can be sent to find out."""
        if self._half_closed is not None:
            return True
        running, local = self._running, self._peer is not None
        if running is None or running.response_complete or self._head_open or self.cycle.more_body:
            return None
        asked = not local and not running.response_started and running.scope["http_version"] == "1.1"
        if not KNOWN or self.scheme == "https" or not (local or asked):
            return None
        self._half_closed = HalfClosed(
            self.transport.get_extra_info("socket"), self.loop, self.transport.abort
        )
        self.cycle.keep_alive = False
        if asked:
            self.transport.write(INTERIM)
        return True

    def shutdown(self) -> None:
        """Called when the server stops: whole requests are answered, and what has not arrived whole is not waited for.
        An application that began without the body goes on all the same."""
        if self._running is not None and _is_arriving(self._running):
            self.transport.close()
            return
        if self._running is not None and self.pipeline and _is_arriving(self.cycle):
            # It is the newest, behind the one that runs and those that wait for that: the connection ends before it.
            self.pipeline.popleft()
            last = self.pipeline[0][0] if self.pipeline else self._running
            last.keep_alive = False
        super().shutdown()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running, self._exchange = cycle, HttpExchange(cycle)
        cast("dict[str, object]", cycle.scope["extensions"])[EXCHANGE_EXTENSION] = self._exchange
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        if self._exchange is not None:
            self._exchange.end()
        super().on_response_complete()

    def data_received(self, data: bytes) -> None:
        answered, idle = self.cycle, self.timeout_keep_alive_task
        if idle is not None:
            # What comes of a body after its answer is no request: it does not prolong the connection.
            self.timeout_keep_alive_task = None
        super().data_received(data)
        if idle is not None:
            if self._head_open or self.cycle is not answered:
                idle.cancel()
            else:
                self.timeout_keep_alive_task = idle
        if not self._head_open:
            self._stop_head_timer()
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES_MAX:
            self.send_400_response("Request head too large.")
        elif self._head_timer is None:
            self._start_head_timer()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_open = True
        self._head_bytes = 0
        self._sequence += 1
        channel = Channel(
            connection=self._connection,
            sequence=self._sequence,
            peer=self._peer,
            certificate=self._certificate,
            certificates=self._certificates,
        )
        # ASGI types extensions as mappings; the server may put any value there.
        self.scope["extensions"] = cast("dict[str, dict[object, object]]", {CHANNEL_EXTENSION: channel})

    def on_header(self, name: bytes, value: bytes) -> None:
        # As uvicorn does it, which has no state beside these: a request has a dozen fields.
        if self._head_open:
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._head_open = False
        super().on_headers_complete()

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS_MAX, self.transport.close)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _is_arriving(cycle: RequestResponseCycle) -> bool:
    return cycle.more_body and not cycle.response_started


def certificates_of(tls: Any) -> tuple[bytes, ...]:
    """Return the client certificate that the handshake verified, and the others that the client sent, DER."""
    certificate = tls.getpeercert(binary_form=True)
    if not certificate:
        return ()
    chain = _sent(tls)
    # The first certificate of the chain must be the verified one; otherwise the rest would prove nothing.
    if chain and chain[0] == certificate:
        return tuple(chain[:CERTIFICATES_MAX])
    return (certificate,)


def _sent(tls: Any) -> list[bytes]:
    """Return the chain as sent, leaf first; empty if it is not available.

    Python 3.13 made public what `_ssl` has had since 3.10. If neither exists, only the leaf is known, and an SVID that
    needs an intermediate certificate is refused.
    """
    if hasattr(tls, "get_unverified_chain"):
        return [bytes(one) for one in tls.get_unverified_chain()]
    private = getattr(getattr(tls, "_sslobj", None), "get_unverified_chain", None)
    return [one.public_bytes(_DER) for one in private() or ()] if private is not None else []


def peer_credentials(connected: Any) -> PeerCredentials | None:
    """Return what the kernel recorded when this Unix socket was connected; None for other sockets and other kernels."""
    if connected is None or connected.family != socket.AF_UNIX or not hasattr(socket, "SO_PEERCRED"):
        return None
    pid, uid, gid = _UCRED.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return PeerCredentials(pid=pid, uid=uid, gid=gid, started=_started(pid))


def _started(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[_STARTED_FIELD])
    except (OSError, ValueError, IndexError):
        return 0

"""One gRPC connection: bound to the process that made it, ended with that process, and bounded in the resources it can
hold.

Laws: a connection whose process has ended gets nothing; it belongs to one process, so that bytes from another process
end it, and before each answer the process must answer a fresh challenge; what a client can make the server store is
limited per connection, per process, per user and overall; a client that does not read is not read from, and is
disconnected in the end.

This is set in grpclib (pinned to one minor release) and h2 in a few places by undocumented attributes.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from grpclib.config import Configuration
from grpclib.const import Cardinality, Status
from grpclib.const import Handler as GRPCMethod
from grpclib.events import _DispatchServerEvents
from grpclib.exceptions import GRPCError
from grpclib.metadata import decode_metadata
from grpclib.protocol import EventsProcessor, H2Protocol
from grpclib.server import Handler
from h2.config import H2Configuration
from h2.errors import ErrorCodes
from h2.events import DataReceived, PingAckReceived
from h2.exceptions import H2Error
from h2.settings import SettingCodes

from answerable.apps.workload_api.error_details import DetailedStatus, WireCodec
from answerable.apps.workload_api.peer import PROC, PeerProcess, connected_process
from answerable.apps.workload_api.places import ConnectionLimits, Places

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from grpclib.protocol import Stream
    from h2.events import Event as H2Event
    from h2.events import StreamReset

RESETS_SECONDS: Final = 60.0
HEADER_LIST_BYTES_MAX: Final = 16_384
PING_BYTES: Final = 8
"""Octets of a PING (RFC 9113, section 6.7)."""

_log = logging.getLogger(__name__)


class Host(Protocol):
    """The server, as a connection sees it."""

    limits: ConnectionLimits
    places: Places

    def methods(self, connection: PeerConnection) -> Mapping[str, GRPCMethod]:
        """Return the RPCs, bound to one connection."""
        ...

    def entered(self, connection: PeerConnection) -> None:
        """Note that a connection was accepted."""
        ...

    def left(self, connection: PeerConnection, ending: asyncio.Task[None]) -> None:
        """Note that a connection is gone; `ending` waits for its RPCs."""
        ...


class BoundedEvents(EventsProcessor):
    """Handles HTTP/2 frames within limits."""

    def __init__(self, connection: PeerConnection, limits: ConnectionLimits) -> None:
        super().__init__(connection.requests, connection.connection)
        self._owner = connection
        self._limits = limits
        self._resets = 0
        self._resets_since = 0.0
        self.processors[DataReceived] = self._receive
        self.processors[PingAckReceived] = self._answered

    def process(self, event: H2Event) -> None:
        # RFC 9113, section 4.1: frames of an unknown type are ignored; grpclib raises.
        with suppress(NotImplementedError):
            super().process(event)

    def _receive(self, event: DataReceived) -> None:
        self.process_data_received(event)
        stream = self.streams.get(event.stream_id)
        if stream is not None and stream.data_received > self._limits.request_bytes_max:
            # gRPC maps this code to RESOURCE_EXHAUSTED.
            _reset(stream, ErrorCodes.ENHANCE_YOUR_CALM)
            stream.__terminated__("the request is too large")
            self.handler.cancel(stream)

    def _answered(self, event: PingAckReceived) -> None:
        self._owner.answered(event.ping_data)

    def process_stream_reset(self, event: StreamReset) -> None:
        super().process_stream_reset(event)
        now = asyncio.get_running_loop().time()
        if now - self._resets_since > RESETS_SECONDS:
            self._resets, self._resets_since = 0, now
        self._resets += 1
        if self._resets > self._limits.resets_max:
            self._owner.abort()


class Requests(Handler):
    """The running RPCs of one connection."""

    def __init__(self, connection: PeerConnection, mapping: Mapping[str, GRPCMethod]) -> None:
        super().__init__(_Methods(mapping), WireCodec(), DetailedStatus(), _DispatchServerEvents())
        self._owner = connection
        self.open = 0

    def accept(self, stream: Stream, headers: Any, release_stream: Callable[[], Any]) -> None:
        """Start an RPC; refuse one above the limit (RFC 9113, section 5.1.2), and one that is malformed."""
        if self.open >= self._owner.limits.streams_max:
            _reset(stream, ErrorCodes.REFUSED_STREAM)
            release_stream()
            return
        if not _is_well_formed(headers):
            _reset(stream, ErrorCodes.PROTOCOL_ERROR)
            release_stream()
            return
        self.open += 1
        self._owner.is_idle(False)
        super().accept(stream, headers, release_stream)
        self._tasks[stream].add_done_callback(lambda _: self._ended(stream))

    def cancel(self, stream: Stream) -> None:
        """Cancel an RPC. Idempotent."""
        if stream in self._tasks:
            super().cancel(stream)

    def _ended(self, stream: Stream) -> None:
        self.open -= 1
        # An RPC cancelled before its task began has not released its stream.
        if stream.id is not None:
            self._owner.processor.streams.pop(stream.id, None)
        self._tasks.pop(stream, None)
        if not self.open:
            self._owner.is_idle(True)


class _Methods(dict[str, GRPCMethod]):
    """Returns a method for every path: grpclib's own answer for an unknown path lacks a content type, and clients take
    it for a connection fault and retry."""

    def get(self, path: str, default: Any = None) -> Any:
        """Return the method, or one that answers UNIMPLEMENTED."""
        return super().get(path, _NOT_IMPLEMENTED)


async def _not_implemented(_: object) -> None:
    raise GRPCError(Status.UNIMPLEMENTED, "method not found")


_NOT_IMPLEMENTED: Final = GRPCMethod(_not_implemented, Cardinality.UNARY_UNARY, object, object)


def _reset(stream: Stream, code: ErrorCodes) -> None:
    """Reset a stream, unless the client has done so later in the bytes being read."""
    if stream.closable:
        stream.reset_nowait(code)


def _is_well_formed(headers: Any) -> bool:
    """Whether grpclib can parse the headers: otherwise it would log a traceback and never answer."""
    names = {name for name, _ in headers}
    if not names >= {":method", ":path"}:
        return False
    try:
        decode_metadata(headers)
    except (ValueError, UnicodeError):
        return False
    return True


class PeerConnection(H2Protocol):
    """A gRPC connection of one process.

    peer: the process, None for a connection that was not accepted.
    """

    requests: Requests

    def __init__(self, host: Host, *, proc: Path = PROC) -> None:
        self.limits = host.limits
        self.peer: PeerProcess | None = None
        self._host = host
        self._proc = proc
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._heard = False
        self._asked: dict[bytes, asyncio.Future[None]] = {}
        self._loop = asyncio.get_running_loop()
        h2_config = H2Configuration(
            client_side=False,
            header_encoding="ascii",
            validate_inbound_headers=False,
            validate_outbound_headers=False,
            normalize_inbound_headers=False,
            normalize_outbound_headers=False,
        )
        config = Configuration(
            http2_connection_window_size=2**20, http2_stream_window_size=2**16 - 1
        ).__for_server__()
        # The handler is set when the connection's process is known.
        super().__init__(cast("Any", None), config, h2_config)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peer = connected_process(transport.get_extra_info("socket"), proc=self._proc)
        if peer is None:
            self._transport.abort()
            return
        if not self._host.places.take(peer):
            peer.close()
            self._transport.abort()
            return
        self.peer = peer
        self.requests = Requests(self, self._host.methods(self))
        self.handler = self.requests
        super().connection_made(transport)
        self.connection._connection.update_settings(
            {
                SettingCodes.MAX_CONCURRENT_STREAMS: self.limits.streams_max,
                SettingCodes.MAX_HEADER_LIST_SIZE: HEADER_LIST_BYTES_MAX,
            }
        )
        self.connection.flush()
        self.processor = BoundedEvents(self, self.limits)
        self._host.entered(self)
        # The pidfd becomes readable when the process ends: the connection ends then, even if other processes inherited
        # the socket.
        self._loop.add_reader(peer.pidfd, self.abort)
        self._waiting = self._loop.call_later(self.limits.first_byte_seconds, self.abort)

    def heard(self, data: bytes, sender: int) -> None:
        """Take received bytes and the pid of their sender."""
        if self.peer is None:
            return
        if sender != self.peer.pid:
            _log.debug("hung up on process %d: process %d spoke for it", self.peer.pid, sender)
            self.abort()
            return
        self.data_received(data)

    async def speaks(self) -> None:
        """Return once the process has answered a challenge sent now.

        Its program may have changed since it connected, and another process may hold the connection. A measurement that
        is equal before and after this call is of the process that answered. Raises GRPCError (UNAVAILABLE).
        """
        question = os.urandom(PING_BYTES)
        answer = self._asked[question] = self._loop.create_future()
        try:
            self.connection._connection.ping(question)
            self.connection.flush()
            async with asyncio.timeout(self.limits.receive_seconds):
                await answer
        except (TimeoutError, H2Error):
            self.abort()
            raise GRPCError(Status.UNAVAILABLE, "the process did not answer a PING") from None
        finally:
            del self._asked[question]

    def answered(self, question: bytes) -> None:
        """Note that a PING was answered."""
        waiting = self._asked.get(question)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self.peer is None:
            return
        if not self._heard:
            self._heard = True
            self.is_idle(True)
        try:
            super().data_received(data)
        except Exception as error:
            # h2 and grpclib raise many kinds of exceptions for bytes that are not HTTP/2.
            _log.debug("hung up on process %d: %s", self.peer.pid, type(error).__name__)
            self.abort()
        self._limit_ending()

    def pause_writing(self) -> None:
        if self.peer is None or self._transport is None:
            return
        super().pause_writing()
        with suppress(RuntimeError):
            self._transport.pause_reading()
        self._start_stalled()

    def resume_writing(self) -> None:
        if self.peer is None or self._transport is None:
            return
        self._stop_stalled()
        self._limit_ending()
        super().resume_writing()
        with suppress(RuntimeError):
            self._transport.resume_reading()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self.peer is None:
            return
        self._loop.remove_reader(self.peer.pidfd)
        self._stop_stalled()
        self._stop_waiting()
        self._host.places.leave(self.peer)
        super().connection_lost(exc)
        # An RPC may be using the pidfd right now: it stays open until no RPC does.
        self._host.left(self, self._loop.create_task(self._let_go()))

    def is_idle(self, idle: bool) -> None:
        """Start or stop counting the time without an RPC."""
        self._stop_waiting()
        if idle and self._transport is not None and not self._transport.is_closing():
            self._waiting = self._loop.call_later(self.limits.idle_seconds, self.hang_up)

    def hang_up(self) -> None:
        """Close gracefully: the client learns which RPCs were not begun, and may send them again on another
        connection."""
        if self._transport is None or self._transport.is_closing():
            return
        if self.peer is not None:
            self.connection._connection.close_connection()
            self.connection.flush()
        self._transport.close()
        self._limit_ending()

    def abort(self) -> None:
        """Close at once; unsent data is dropped. Idempotent: a pidfd that stays readable calls until the connection is
        gone."""
        if self._transport is not None:
            self._transport.abort()

    async def _let_go(self) -> None:
        await self.requests.wait_closed()
        if self.peer is not None:
            self.peer.close()

    def _limit_ending(self) -> None:
        """Limit the time of closing: a closing transport waits until all is written, which never happens if the client
        does not read."""
        if self._transport is not None and self._transport.is_closing():
            self._start_stalled()

    def _start_stalled(self) -> None:
        if self._stalled is None:
            self._stalled = self._loop.call_later(self.limits.send_seconds, self.abort)

    def _stop_stalled(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

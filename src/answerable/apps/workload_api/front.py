"""The gRPC server of the Workload API: accepts connections on a bound Unix socket and gives each its RPCs."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from grpclib.const import Cardinality
from grpclib.const import Handler as GRPCMethod

from answerable.apps.workload_api.api import WorkloadApi
from answerable.apps.workload_api.broker import BrokerApi
from answerable.apps.workload_api.call import answering
from answerable.apps.workload_api.connection import PeerConnection
from answerable.apps.workload_api.messages import schema
from answerable.apps.workload_api.peer import PROC
from answerable.apps.workload_api.places import ConnectionLimits, Places
from answerable.apps.workload_api.sds import secret_methods
from answerable.apps.workload_api.socket_file import SOCKET_MODE, check_socket
from answerable.apps.workload_api.transport import SenderTransport, tell_senders
from answerable.core.identity.names.spiffe_terms import (
    BROKER_API,
    BROKER_HEADER,
    WORKLOAD_API,
    WORKLOAD_HEADER,
)
from answerable.errors.codes.workloads import WORKLOAD_API_NO_PEER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    import anyio

    from answerable.apps.workload_api.call import Call
    from answerable.apps.workload_api.services import WorkloadServices

BACKLOG: Final = 256
ACCEPTED_MAX: Final = 32
"""Connections accepted in one round of the event loop."""
REST_SECONDS: Final = 1.0
"""Pause after a connection could not be accepted."""
GRACE_SECONDS: Final = 5.0
"""Time for RPCs to end when the server stops."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Which APIs are served. workload: the Workload API. wit: its WIT-SVID profile. broker: the Broker API; the
    standard wants it out of workloads' reach where possible, so on a socket of its own. reflection: gRPC server
    reflection. sds: secret discovery for Envoy."""

    workload: bool = True
    wit: bool = False
    broker: bool = False
    reflection: bool = True
    sds: bool = False


class WorkloadFront:
    """A server on one socket, in the running event loop: asyncio's own or uvloop's."""

    def __init__(
        self,
        needs: WorkloadServices,
        *,
        doors: Doors | None = None,
        limits: ConnectionLimits | None = None,
        proc: Path = PROC,
    ) -> None:
        self.limits = limits or ConnectionLimits()
        self.places = Places(self.limits)
        self._needs = needs
        self._doors = doors or Doors()
        self._proc = proc
        self._reflection = _reflection(self._doors)
        self._connections: set[PeerConnection] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._resting: asyncio.TimerHandle | None = None
        self._listener: socket.socket | None = None

    async def start(self, listener: socket.socket, *, mode: int = SOCKET_MODE) -> None:
        """Serve on a bound Unix socket whose file has this mode.

        Raises Unavailable: `workload_api.socket_permissions`, `workload_api.not_unix`.
        """
        check_socket(listener, mode=mode)
        # Before anybody can connect, so that bytes sent before accept carry their sender, too.
        tell_senders(listener)
        listener.listen(BACKLOG)
        listener.setblocking(False)
        self._listener = listener
        self._take_more()

    async def close(self) -> None:
        """Accept no more connections and end the present ones. The socket's file is left to its creator."""
        if self._listener is not None:
            self._take_none()
            self._listener.close()
            self._listener = None
        for connection in tuple(self._connections):
            connection.hang_up()
        await asyncio.sleep(0)
        for connection in tuple(self._connections):
            connection.abort()
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                while self._connections or self._ending:
                    await asyncio.sleep(0)
                    if self._ending:
                        await asyncio.wait(tuple(self._ending))

    def methods(self, connection: PeerConnection) -> Mapping[str, GRPCMethod]:
        """Return the RPCs of one connection, with the process that made it as their subject."""
        peer, recheck = connection.peer, self.limits.recheck_seconds
        if peer is None:
            raise WORKLOAD_API_NO_PEER()
        found = dict(self._reflection)
        if self._doors.workload:
            workload = WorkloadApi(
                self._needs, peer, connection.speaks, wit=self._doors.wit, recheck_seconds=recheck
            )
            found |= _bound(connection, WORKLOAD_HEADER, workload.methods())
        if self._doors.sds:
            found |= secret_methods(connection, self._needs, peer, recheck_seconds=recheck)
        if self._doors.broker:
            broker = BrokerApi(self._needs, peer, connection.speaks, recheck_seconds=recheck, proc=self._proc)
            found |= _bound(connection, BROKER_HEADER, broker.methods())
        return found

    def entered(self, connection: PeerConnection) -> None:
        """Note that a connection was accepted."""
        self._connections.add(connection)

    def left(self, connection: PeerConnection, ending: asyncio.Task[None]) -> None:
        """Note that a connection is gone; its RPCs end."""
        self._connections.discard(connection)
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    def _take_more(self) -> None:
        self._resting = None
        if self._listener is not None:
            asyncio.get_running_loop().add_reader(self._listener.fileno(), self._accept)

    def _take_none(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener.fileno())

    def _accept(self) -> None:
        """Accept waiting connections, a few at a time, so that other tasks of this loop get their turn."""
        for _ in range(ACCEPTED_MAX):
            if self._listener is None:
                return
            try:
                connected, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                # Usually no descriptor is free: without a pause the loop would only retry.
                _log.warning("cannot accept at the Workload API: %s", error.strerror)
                self._take_none()
                self._resting = asyncio.get_running_loop().call_later(REST_SECONDS, self._take_more)
                return
            connected.setblocking(False)
            SenderTransport(connected, PeerConnection(self, proc=self._proc))


async def serve(
    needs: WorkloadServices,
    listener: socket.socket,
    *,
    stop: anyio.Event | asyncio.Event,
    doors: Doors | None = None,
    limits: ConnectionLimits | None = None,
    mode: int = SOCKET_MODE,
    started: Callable[[], None] | None = None,
) -> None:
    """Serve on a bound Unix socket until `stop` is set or the task is cancelled; the socket is closed in the end.

    Raises Unavailable: `workload_api.socket_permissions`, `workload_api.not_unix`.
    """
    front = WorkloadFront(needs, doors=doors, limits=limits)
    try:
        await front.start(listener, mode=mode)
        if started is not None:
            started()
        await stop.wait()
    finally:
        await front.close()
        listener.close()


def _bound(
    connection: PeerConnection, header: str, rpcs: Mapping[str, Callable[[Call], Awaitable[None]]]
) -> dict[str, GRPCMethod]:
    methods = schema().methods
    return {
        path: GRPCMethod(
            answering(connection, header, rpc),
            Cardinality.UNARY_STREAM if methods[path].streams else Cardinality.UNARY_UNARY,
            methods[path].takes,
            methods[path].gives,
        )
        for path, rpc in rpcs.items()
    }


class _Named:
    """A service of which reflection needs only the name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __mapping__(self) -> dict[str, Any]:
        return {f"/{self._name}/": None}


def _reflection(doors: Doors) -> dict[str, GRPCMethod]:
    if not doors.reflection:
        return {}
    # Importing it registers messages in the shared pool, so it is imported only if reflection is wanted.
    from grpclib.reflection.service import ServerReflection

    names = [WORKLOAD_API] * doors.workload + [BROKER_API] * doors.broker
    named = [_Named(name) for name in names]
    extended = ServerReflection.extend(named, pool=schema().pool)
    found: dict[str, GRPCMethod] = {}
    for reflecting in extended[len(named) :]:
        found |= reflecting.__mapping__()
    return found

"""Serve one application on several sockets, with one lifespan, inside an existing event loop."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from email.utils import formatdate
from time import time
from typing import TYPE_CHECKING, Any

import anyio
import uvicorn
from uvicorn.server import ServerState

from answerable.adapters.uvicorn_front.descriptors import KEPT
from answerable.adapters.uvicorn_front.listeners import Listeners, listen
from answerable.adapters.uvicorn_front.protocol import ChannelProtocol
from answerable.adapters.uvicorn_front.tls import TLSMaterial, tls_context
from answerable.adapters.uvicorn_front.warnings import say_once
from answerable.errors.codes.services import FRONT_ADDRESS, FRONT_LIFESPAN

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Generator
    from pathlib import Path

    from uvicorn._types import ASGIApplication


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontLimits:
    """Limits of the server. connections_max: concurrent; further ones get status 503. keep_alive_seconds: idle between
    requests. grace_seconds: for requests in progress when the server stops, before they are cancelled.
    descriptors_kept: reserved from TCP connections, and half of them from connections on a Unix socket; fewer if the
    process's limit is low."""

    connections_max: int = 4096
    keep_alive_seconds: int = 60
    grace_seconds: int = 10
    descriptors_kept: int = KEPT


async def serve(
    app: ASGIApplication,
    *,
    tcp: tuple[str, int] | None = None,
    uds: Path | None = None,
    listeners: Listeners | None = None,
    tls: TLSMaterial | None = None,
    context: ssl.SSLContext | None = None,
    limits: FrontLimits | None = None,
    started: Callable[[Listeners], None] | None = None,
    stop: anyio.Event | None = None,
    uids: frozenset[int] | None = None,
) -> None:
    """Serve until `stop` is set or the task is cancelled, then stop gracefully: no new connections, those in progress
    finish within `grace_seconds`, and the application's lifespan ends before this returns.

    context: from a caller whose certificate changes while serving, in place of `tls`. uids: users whose connections on
    the Unix socket may use all places; connections of other users there have a separate limit; None for everybody.
    Takes addresses to bind, or `listeners` bound earlier, and closes them at the end. TLS is for TCP only. `started` is
    called once, when requests are answered. Installs no signal handlers. Raises Unavailable: `front.*`, and
    `front.lifespan` if the application fails to start.
    """
    context = tls_context(tls) if tls is not None else context
    bound = listeners if listeners is not None else listen(tcp=tcp, uds=uds)
    try:
        if bound.tcp is None and bound.uds is None:
            raise FRONT_ADDRESS("no listener is configured")
        limits = limits or FrontLimits()
        say_once()
        server = _Server(_config(app, limits), bound, context, started, uids, limits.descriptors_kept)
        await _run(server, stop)
    finally:
        bound.close()


def _config(app: ASGIApplication, limits: FrontLimits) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=ChannelProtocol,
        ws="none",
        lifespan="auto",
        interface="asgi3",
        log_config=None,
        access_log=False,
        workers=1,
        # The caller's identity is proved, never read from a field that anybody can write.
        proxy_headers=False,
        forwarded_allow_ips=[],
        server_header=False,
        limit_concurrency=limits.connections_max,
        timeout_keep_alive=limits.keep_alive_seconds,
        timeout_graceful_shutdown=limits.grace_seconds,
    )


async def _run(server: _Server, stop: anyio.Event | None) -> None:
    serving = asyncio.create_task(server.serve())
    waiting = {serving}
    stopping = asyncio.create_task(stop.wait()) if stop is not None else None
    if stopping is not None:
        waiting.add(stopping)
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        server.end()
        # Also after a cancellation: requests in progress get their grace period, and the task must not outlive this
        # one.
        with anyio.CancelScope(shield=True):
            if stopping is not None:
                stopping.cancel()
            await serving


class _ServerState(ServerState):
    """uvicorn's state, with the date computed on access: no timer updates it."""

    def __init__(self) -> None:
        self._second = -1
        self._headers: list[tuple[bytes, bytes]] = []
        super().__init__()

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers of every response."""
        second = int(time())
        if second != self._second:
            self._headers = [(b"date", formatdate(second, usegmt=True).encode())]
            self._second = second
        return self._headers

    @default_headers.setter
    def default_headers(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Ignore the initial value from uvicorn."""


class _Server(uvicorn.Server):
    """uvicorn's server on given sockets, with TLS on TCP only; raises Unavailable instead of exiting the process.

    It waits for an event to end: uvicorn's own loop polls for that, and updates the date, ten times a second.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        listeners: Listeners,
        context: ssl.SSLContext | None,
        started: Callable[[Listeners], None] | None,
        uids: frozenset[int] | None,
        descriptors_kept: int,
    ) -> None:
        super().__init__(config)
        self.server_state = _ServerState()
        self._ended = anyio.Event()
        self._descriptors_kept = descriptors_kept
        self._uids = uids
        self._strangers: set[ChannelProtocol] = set()
        self._listeners = listeners
        self._context = context
        self._on_started = started

    def end(self) -> None:
        """Accept no new connections, and end gracefully."""
        self.should_exit = True
        self._ended.set()

    async def main_loop(self) -> None:
        """Serve until `end`."""
        await self._ended.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Install nothing: the owner of the event loop handles signals."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise FRONT_LIFESPAN()
        loop = asyncio.get_running_loop()
        self.servers: list[Any] = []
        if self._listeners.tcp is not None:
            self.servers.append(
                await loop.create_server(self._protocol, sock=self._listeners.tcp, ssl=self._context)
            )
        if self._listeners.uds is not None:
            self.servers.append(await loop.create_unix_server(self._protocol, sock=self._listeners.uds))
        self.started = True
        if self._on_started is not None:
            self._on_started(self._listeners)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # No grace for these: only a refusal is in progress there.
        for one in list(self._strangers):
            one.transport.abort()
        await super().shutdown(sockets)

    def _protocol(self) -> ChannelProtocol:
        return ChannelProtocol(
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            uids=self._uids,
            strangers=self._strangers,
            descriptors_kept=self._descriptors_kept,
        )

"""Build the HTTP client of one streamable HTTP upstream, so that a failed exchange fails only its own call."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import anyio
import httpx2

from answerable.adapters.mcp_upstream.marks import error_body
from answerable.adapters.mcp_upstream.unasked import UnaskedPace
from answerable.unix_http import no_tls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from answerable.adapters.mcp_upstream.marks import Mark

CONNECT_SECONDS_MAX: Final = 5.0
WRITE_SECONDS_MAX: Final = 30.0
KEEPALIVE_SECONDS: Final = 2.0
"""Shorter than the usual 5 s of servers, so that a call rarely uses a connection that the server is just closing."""
CONNECTIONS_KEPT_MAX: Final = 256
EVENTS_FREE: Final = 16
"""Events in the answer to one request that are not throttled: the answer, and a little progress before it."""

_NOT_SENT: Final = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
)
_READABLE: Final = ("application/json", "text/event-stream")


_Found = TypeVar("_Found")


class _GivenUpError(Exception):
    """The caller no longer waits for this exchange."""


class _Exchange:
    """The HTTP exchange of one request, across the session tasks that handle it."""

    def __init__(self) -> None:
        self._scope = anyio.CancelScope()
        self._has_begun = self._is_over = False

    def takes(self, request: httpx2.Request) -> bool:
        """Whether the HTTP request is the call itself or resumes reading its answer, and is no notification about
        it."""
        first, self._has_begun = not self._has_begun, True
        return first or request.method == "GET"

    async def wait(self, step: Callable[[], Awaitable[_Found]]) -> _Found:
        """Run one step of the exchange. Raises _GivenUpError once the exchange is closed."""
        if not self._is_over:
            self._scope = anyio.CancelScope()
            with self._scope:
                return await step()
        raise _GivenUpError

    def close(self) -> None:
        self._is_over = True
        self._scope.cancel()


# The session sends a request in its caller's context, which is the only way to identify the request in the transport.
_EXCHANGE: Final[ContextVar[_Exchange | None]] = ContextVar("_EXCHANGE", default=None)


@contextmanager
def closed_at_the_end() -> Iterator[None]:
    """Close the exchange of one session request when the block ends, answered or not. Without this, a server of the
    session-based era can keep the exchange of a cancelled request open indefinitely."""
    exchange = _Exchange()
    token = _EXCHANGE.set(exchange)
    try:
        yield
    finally:
        _EXCHANGE.reset(token)
        exchange.close()


class ContainedTransport(httpx2.AsyncBaseTransport):
    """Converts failures to marked JSON-RPC errors once `contained` is set, and bounds every body.

    Before that, failures are raised, so that an outage while connecting is not mistaken for an old protocol version.
    on_failure: called when the server can no longer be reached.
    """

    def __init__(
        self, inner: httpx2.AsyncBaseTransport, *, body_bytes_max: int, on_failure: Callable[[], None]
    ) -> None:
        self._inner = inner
        self._body_bytes_max = body_bytes_max
        self._on_failure = on_failure
        self._pace = UnaskedPace()
        self.contained = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request through the inner transport. Once `contained` is set, no failure of server or network is
        raised."""
        exchange = _EXCHANGE.get()
        if exchange is not None and not exchange.takes(request):
            exchange = None
        try:
            if exchange is None:
                response = await self._inner.handle_async_request(request)
            else:
                response = await exchange.wait(lambda: self._inner.handle_async_request(request))
        except _GivenUpError:
            return _marked("unknown", "the call was given up")
        except httpx2.HTTPError as failure:
            if not self.contained:
                raise
            if isinstance(failure, _NOT_SENT):
                if not isinstance(failure, httpx2.PoolTimeout):
                    self._on_failure()
                return _marked("not_sent", "the server cannot be reached")
            return _marked("unknown", "the connection was lost before the answer")
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if self.contained and request.method == "POST" and kind not in _READABLE:
            if response.status_code >= 500:
                await response.aclose()
                return _marked("unknown", f"the server answered HTTP {response.status_code}")
            if response.status_code == 200:
                await response.aclose()
                return _marked("unknown", "the server answered with something other than JSON")
        assert isinstance(response.stream, httpx2.AsyncByteStream)  # noqa: S101 - an asynchronous transport's own
        if kind == "text/event-stream":
            # A stream may be endless but not arbitrarily fast; each of its events has a limit of its own.
            inner = _PacedStream(
                response.stream,
                self._pace,
                events_free=EVENTS_FREE if request.method == "POST" else 0,
                bytes_free=self._body_bytes_max if request.method == "POST" else 0,
            )
            response.stream = _BoundedStream(inner, bytes_max=None, exchange=exchange)
        else:
            response.stream = _BoundedStream(
                response.stream, bytes_max=self._body_bytes_max, exchange=exchange
            )
        return response

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()


def bound(response: httpx2.Response, bytes_max: int) -> None:
    """Limit the total size of an answer's events, where only the answer was requested."""
    assert isinstance(response.stream, httpx2.AsyncByteStream)  # noqa: S101 - an asynchronous transport's own
    response.stream = _BoundedStream(response.stream, bytes_max=bytes_max, exchange=None)


class _PacedStream(httpx2.AsyncByteStream):
    """Reads an event stream no faster than the limit for unsolicited messages. events_free, bytes_free: amounts that
    are not throttled."""

    def __init__(
        self, inner: httpx2.AsyncByteStream, pace: UnaskedPace, *, events_free: int, bytes_free: int
    ) -> None:
        self._inner, self._pace = inner, pace
        self._events_free, self._bytes_free = events_free, bytes_free

    async def __aiter__(self) -> AsyncIterator[bytes]:
        events, size = -float(self._events_free), -self._bytes_free
        async for chunk in self._inner:
            # An event takes at least two line ends: of its line and of the empty line after it.
            more = max(chunk.count(b"\n"), chunk.count(b"\r")) / 2
            events, size = min(events, 0) + more, min(size, 0) + len(chunk)
            await self._pace.take(events, size)
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


class _BoundedStream(httpx2.AsyncByteStream):
    """Raises httpx2.StreamError, which the SDK contains, for a body that is too long or breaks off. Raises SSEError for
    an exchange that was given up: after it the SDK does not request the rest of the stream."""

    def __init__(
        self, inner: httpx2.AsyncByteStream, *, bytes_max: int | None, exchange: _Exchange | None
    ) -> None:
        self._inner = inner
        self._bytes_max = bytes_max
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        try:
            async for chunk in self._chunks():
                size += len(chunk)
                if self._bytes_max is not None and size > self._bytes_max:
                    raise httpx2.StreamError(f"the answer is longer than {self._bytes_max} bytes")
                yield chunk
        except httpx2.HTTPError:
            raise httpx2.StreamError("the connection was lost in the middle of the answer") from None
        except _GivenUpError:
            raise httpx2.SSEError("the call was given up") from None

    async def _chunks(self) -> AsyncIterator[bytes]:
        if self._exchange is None:
            async for chunk in self._inner:
                yield chunk
            return
        chunks = aiter(self._inner)
        while (more := await self._exchange.wait(partial(anext, chunks, None))) is not None:
            yield more

    async def aclose(self) -> None:
        await self._inner.aclose()


def http_client(
    *,
    seconds_max: float,
    connections_max: int,
    body_bytes_max: int,
    on_failure: Callable[[], None],
    socket: Path | None = None,
) -> tuple[httpx2.AsyncClient, ContainedTransport]:
    """Create the client of one upstream. seconds_max: limit of silence while reading. socket: Unix socket to connect
    to, whatever the URL says."""
    limits = httpx2.Limits(
        max_connections=connections_max,
        max_keepalive_connections=min(connections_max, CONNECTIONS_KEPT_MAX),
        keepalive_expiry=KEEPALIVE_SECONDS,
    )
    uds = str(socket) if socket is not None else None
    inner = httpx2.AsyncHTTPTransport(
        limits=limits, verify=no_tls() if uds else True, trust_env=False, uds=uds
    )
    transport = ContainedTransport(inner, body_bytes_max=body_bytes_max, on_failure=on_failure)
    timeout = httpx2.Timeout(
        connect=CONNECT_SECONDS_MAX, read=seconds_max, write=WRITE_SECONDS_MAX, pool=CONNECT_SECONDS_MAX
    )
    # Compression is refused: a small compressed body could expand to a large one.
    headers = {"accept-encoding": "identity"}
    return httpx2.AsyncClient(
        transport=transport, timeout=timeout, headers=headers, trust_env=False
    ), transport


def _marked(mark: Mark, message: str) -> httpx2.Response:
    # Status 502 makes the SDK read the error in the body and fail only this request with it.
    return httpx2.Response(
        502, headers={"content-type": "application/json"}, content=error_body(mark, message)
    )

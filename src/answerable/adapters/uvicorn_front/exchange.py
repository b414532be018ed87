"""What the server offers for one request beside ASGI, because each of these costs a task or a wait there: the body that
has arrived with the head, a call when the caller leaves, and an answer in one write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class HttpExchange:
    """Implements apps.mcp_gateway.exchange.Exchange over uvicorn's state of a request, until it is answered or its
    connection ends."""

    __slots__ = ("_cycle", "_tell_left")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle: RequestResponseCycle | None = cycle
        self._tell_left: Callable[[], object] | None = None

    def arrived(self) -> bytes | None:
        """Take the body if it is there to its end. None if it is not: ASGI's `receive` gives it."""
        cycle = self._cycle
        if cycle is None or cycle.more_body:
            return None
        body, cycle.body = bytes(cycle.body), bytearray()
        cycle.message_event.clear()
        cycle.flow.resume_reading()
        return body

    def when_left(self, tell: Callable[[], object]) -> None:
        """Call `tell` once if the caller leaves before its answer; at once if it has left."""
        if self._cycle is None:
            tell()
        else:
            self._tell_left = tell

    def answer(self, status: int, fields: bytes, body: bytes) -> bool:
        """Answer in one write. Return False, having done nothing, where ASGI's `send` has to do it: the connection is
        gone or congested, or an answer has begun. fields: whole lines; one states the length of the body."""
        cycle = self._cycle
        if cycle is None or cycle.flow.write_paused or cycle.response_started:
            return False
        head = [STATUS_LINE[status]]
        for name, value in cycle.default_headers:
            head += (name, b": ", value, b"\r\n")
        closing = b"" if cycle.keep_alive else b"connection: close\r\n"
        cycle.transport.write(b"".join((*head, fields, closing, b"\r\n", body)))
        cycle.waiting_for_100_continue = False
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
        return True

    def left(self) -> None:
        """The connection has ended before the answer."""
        tell = self._tell_left
        self.end()
        if tell is not None:
            tell()

    def end(self) -> None:
        """Nothing more comes of this request. It frees uvicorn's state, which refers to this through its scope."""
        self._cycle = self._tell_left = None

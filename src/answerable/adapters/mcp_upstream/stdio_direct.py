"""Send direct requests over the pipes of a stdio server, interleaved with the lines of the SDK's session."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from answerable.adapters.mcp_upstream.direct import FIRST_ID, Envelope, cancellation, decoded
from answerable.adapters.mcp_upstream.live import NotSentError, TimedOutError

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable

    from answerable.core.canonical import JSONValue

_LINE_END: Final = b"\n"
_DIGITS_MAX: Final = 15


class StdioDirect:
    """Queue of all lines to the server, and the pending direct requests. Lives as long as the process."""

    def __init__(self) -> None:
        self._envelope = Envelope("")
        self._waiting: dict[int, Future[object]] = {}
        self._next = FIRST_ID
        self._lines: list[bytes] = []
        self._write: Callable[[bytes], object] | None = None
        self._is_due = self._is_held = self._closed = False

    def speaking(self, version: str) -> StdioDirect:
        """Set the protocol revision that the session negotiated, and return self."""
        self._envelope = Envelope(version)
        return self

    async def ask(self, method: str, params: dict[str, JSONValue], *, seconds: float) -> dict[str, Any]:
        """Send a request and wait for its result; see `Direct`."""
        if self._closed:
            raise NotSentError
        number, self._next = self._next, self._next + 1
        loop = asyncio.get_running_loop()
        answer: Future[object] = loop.create_future()
        self._waiting[number] = answer
        self.put(self._envelope.request(number, method, params))
        # A plain timer: a cancel scope or asyncio's timeout costs several times as much.
        timer = loop.call_later(seconds, _give_up, answer)
        try:
            message = await answer
        except (asyncio.CancelledError, TimedOutError):
            self.put(cancellation(number))
            raise
        finally:
            timer.cancel()
            del self._waiting[number]
        return self._envelope.result(method, message)

    def put(self, line: bytes) -> None:
        """Queue a line to the server, without its line end. All lines of one loop iteration are sent together."""
        self._lines += (line, _LINE_END)
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._send)

    def write_with(self, write: Callable[[bytes], object] | None) -> None:
        """Set what writes to the server; None where nothing can be written any more."""
        self._write = write

    def hold(self) -> None:
        """Write nothing more until `go_on`."""
        self._is_held = True

    def go_on(self) -> None:
        """Write what has waited, and all that comes."""
        self._is_held = False
        self._send()

    def _send(self) -> None:
        self._is_due = False
        if self._lines and not self._is_held:
            text = b"".join(self._lines)
            self._lines.clear()
            if self._write is not None:
                self._write(text)

    def took(self, line: bytes) -> bool:
        """Whether a line of the server was the answer to a direct request, including one that no longer waits."""
        message = decoded(line)
        if not isinstance(message, dict) or "method" in message:
            return False
        return self.settled(message.get("id"), message)

    def settled(self, number: object, message: object) -> bool:
        """Deliver an answer to its direct request; return False if the answer belongs to the session."""
        if isinstance(number, str) and number.isdecimal() and len(number) <= _DIGITS_MAX:
            number = int(number)
        if not isinstance(number, int) or number < FIRST_ID:
            return False
        answer = self._waiting.get(number)
        if answer is not None and not answer.done():
            answer.set_result(message)
        return True

    def close(self, lost: Exception) -> None:
        """Fail all pending requests with `lost`; no more answers will arrive. Idempotent."""
        self._closed = True
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(lost)


def _give_up(answer: Future[object]) -> None:
    if not answer.done():
        answer.set_exception(TimedOutError())

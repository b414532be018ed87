"""Relay MCP messages between an agent's stdio and the gateway, in both eras of MCP (`answerable mcp shim`).

The shim acts for the agent that its key belongs to, decides nothing and stores nothing. An invalid line is answered
locally and affects nothing else; an unreachable gateway fails only the calls made meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Final

import anyio
import httpx2
import msgspec

from answerable.apps.mcp_shim import gateway_client
from answerable.apps.mcp_shim.gateway_client import (
    OPENING,
    SESSION_FIELD,
    Session,
    SessionGoneError,
    is_modern,
    is_there,
    send,
)
from answerable.apps.mcp_shim.lines import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    Writer,
    error_line,
    lines_of,
    message_of,
)
from answerable.connection_fault import connection_fault
from answerable.core.identity.names.principal import checked_name
from answerable.errors import AnswerableError
from answerable.sdk.gateway_address import SHIM_AGENT, open_client, unreached

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskGroup

    from answerable.core.canonical import JSONValue

REQUESTS_MAX: Final = 256
NOTIFICATION_SECONDS_MAX: Final = 30.0
DRAIN_SECONDS_MAX: Final = 1.5
"""Time for running calls after the client has closed the shim's input; clients wait 2 s before they kill."""
CLOSE_SECONDS_MAX: Final = 2.0
STREAM_PAUSE_SECONDS: Final = 1.0

_INITIALIZED: Final[dict[str, JSONValue]] = {"jsonrpc": "2.0", "method": "notifications/initialized"}


@dataclass(slots=True, kw_only=True, eq=False)
class _Asked:
    """A running request. cancelled: the client no longer wants its answer. is_unanswered: there is no program at the
    gateway's address that answers."""

    modern: bool
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    cancelled: bool = False
    is_unanswered: bool = False


async def run_shim(
    *, server: str, gateway: str, auth: httpx2.Auth, stdin: BinaryIO, stdout: BinaryIO
) -> None:
    """Relay until the input ends or the output is closed.

    gateway: `http://HOST:PORT`, `https://HOST:PORT` or `unix:PATH`. auth: proves possession of the agent's key and
    names the mandate. Raises Malformed (`name.invalid`, `shim.gateway`) before anything is read.
    """
    client, base = open_client(gateway, auth)
    client.headers["user-agent"] = SHIM_AGENT
    url = f"{base}/mcp/{checked_name(server, what='server')}"
    async with client:
        await _Relay(client, url, Writer(stdout), address=gateway).run(stdin)


class _Relay:
    def __init__(self, client: httpx2.AsyncClient, url: str, writer: Writer, *, address: str = "") -> None:
        """address: of the gateway, as people know it."""
        self._client = client
        self._address = address or url
        self._url = url
        self._writer = writer
        self._session = Session()
        self._opening = anyio.Lock()
        self._asked: dict[str | int, _Asked] = {}
        self._idle = anyio.Event()
        self._stream = anyio.CancelScope()

    async def run(self, stdin: BinaryIO) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._end_when_left, tasks)
            async for line in lines_of(stdin):
                message = message_of(line)
                if isinstance(message, bytes):
                    await self._writer.write(message)
                elif "method" in message and line is not None:
                    await self._take(tasks, line, message)
            with anyio.move_on_after(DRAIN_SECONDS_MAX):
                while self._asked:
                    self._idle = anyio.Event()
                    await self._idle.wait()
            tasks.cancel_scope.cancel()
        await self._close()

    async def _end_when_left(self, tasks: TaskGroup) -> None:
        await self._writer.left.wait()
        tasks.cancel_scope.cancel()

    async def _take(self, tasks: TaskGroup, line: bytes, message: dict[str, JSONValue]) -> None:
        request_id = message.get("id")
        if not isinstance(request_id, str | int):
            await self._notify(tasks, line, message)
        elif request_id in self._asked:
            await self._writer.write(error_line(request_id, INVALID_REQUEST, "this id is in use"))
        elif len(self._asked) >= REQUESTS_MAX:
            await self._writer.write(
                error_line(
                    request_id, INTERNAL_ERROR, f"at most {REQUESTS_MAX} requests at a time", retry=True
                )
            )
        else:
            asked = self._asked[request_id] = _Asked(modern=bool(is_modern(message)))
            tasks.start_soon(self._ask, request_id, line, message)
            if not self._session.is_answered and message["method"] not in OPENING:
                tasks.start_soon(self._end_unanswered, request_id, asked)

    async def _ask(self, request_id: str | int, line: bytes, message: dict[str, JSONValue]) -> None:
        asked = self._asked[request_id]

        async def write(text: bytes) -> None:
            if not asked.cancelled:
                await self._writer.write(text)

        try:
            with asked.scope:
                await self._answered(request_id, line, message, write)
            if asked.is_unanswered:
                await write(error_line(request_id, INTERNAL_ERROR, self._nobody(), effect="unknown"))
        finally:
            if self._asked.get(request_id) is asked:
                del self._asked[request_id]
            self._idle.set()

    async def _answered(
        self,
        request_id: str | int,
        line: bytes,
        message: dict[str, JSONValue],
        write: Callable[[bytes], Awaitable[None]],
    ) -> None:
        """Answer a request, whatever happens."""
        used = self._session.id
        try:
            try:
                await send(self._client, self._url, line, message, self._session, write)
            except SessionGoneError:
                # The gateway was restarted. It did nothing with the message, so the message may be sent again.
                await self._open_again(used)
                await send(self._client, self._url, line, message, self._session, write)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as fault:
            text = f"the gateway cannot be reached ({unreached(fault)}); nothing was done"
            await write(error_line(request_id, INTERNAL_ERROR, text, effect="none", retry=True))
        except SessionGoneError:
            text = "the gateway's session has ended; nothing was done"
            await write(error_line(request_id, INTERNAL_ERROR, text))
        except httpx2.ReadTimeout:
            await write(error_line(request_id, INTERNAL_ERROR, self._nobody(), effect="unknown"))
        except httpx2.HTTPError as fault:
            text = (
                f"the connection to the gateway was lost ({connection_fault(fault)}); it may have been done"
            )
            await write(error_line(request_id, INTERNAL_ERROR, text, effect="unknown"))
        except AnswerableError as error:
            line_of_error = error_line(
                request_id,
                INTERNAL_ERROR,
                error.message,
                code=error.code,
                effect=error.effect,
                retry=error.retry,
            )
            await write(line_of_error)
        except Exception as fault:
            text = f"the shim failed: {type(fault).__name__}"
            await write(error_line(request_id, INTERNAL_ERROR, text, effect="unknown"))

    async def _end_unanswered(self, request_id: str | int, asked: _Asked) -> None:
        """End a request at an address where nothing has ever answered, and nothing does when asked. A call may take an
        hour: how long it takes says nothing about who listens."""
        await anyio.sleep(gateway_client.OPENING_SECONDS_MAX)
        if self._asked.get(request_id) is not asked or self._session.is_answered:
            return
        if await is_there(self._client, self._url):
            self._session.is_answered = True
        elif self._asked.get(request_id) is asked and not self._session.is_answered:
            asked.is_unanswered = True
            asked.scope.cancel()

    def _nobody(self) -> str:
        return f"nothing at {self._address} answers: is the gateway there? It may have been done"

    async def _notify(self, tasks: TaskGroup, line: bytes, message: dict[str, JSONValue]) -> None:
        """Forward a notification before the next message is read, so that the client's next message finds it
        processed."""
        if message["method"] == "notifications/cancelled":
            params = message.get("params")
            cancelled = params.get("requestId") if isinstance(params, dict) else None
            asked = self._asked.get(cancelled) if isinstance(cancelled, str | int) else None
            if asked is None:
                return
            asked.cancelled = True
            if asked.modern:
                # In this era a request is cancelled by closing its stream.
                asked.scope.cancel()
                return
        with anyio.move_on_after(NOTIFICATION_SECONDS_MAX):
            try:
                await send(self._client, self._url, line, message, self._session, self._writer.write)
            except (httpx2.HTTPError, AnswerableError, SessionGoneError):
                return
        if message["method"] == "notifications/initialized" and self._session.id:
            tasks.start_soon(self._listen)

    async def _open_again(self, gone: str) -> None:
        """Open a new session with the client's own `initialize` message, unless another message has already replaced
        the session `gone`. Raises SessionGoneError, httpx2.HTTPError."""
        async with self._opening:
            if self._session.id != gone:
                return
            opening = self._session.opening
            if not opening:
                raise SessionGoneError
            message = msgspec.json.decode(opening)
            await send(self._client, self._url, opening, message, self._session, _nowhere)
            initialized = msgspec.json.encode(_INITIALIZED)
            await send(self._client, self._url, initialized, _INITIALIZED, self._session, _nowhere)

    async def _listen(self) -> None:
        """Follow the session's event stream: messages that the server sends on its own."""
        self._stream.cancel()
        self._stream = anyio.CancelScope()
        with self._stream:
            while True:
                fields = {"accept": "text/event-stream", SESSION_FIELD: self._session.id}
                if self._session.version:
                    fields["mcp-protocol-version"] = self._session.version
                try:
                    async with self._client.stream("GET", self._url, headers=fields) as response:
                        if response.status_code == 405:
                            return
                        if response.is_success:
                            async for event in httpx2.EventSource(response):
                                if event.data:
                                    await self._writer.write(event.data.encode())
                except (httpx2.HTTPError, AnswerableError):
                    pass
                await anyio.sleep(STREAM_PAUSE_SECONDS)

    async def _close(self) -> None:
        if not self._session.id:
            return
        fields = {SESSION_FIELD: self._session.id}
        if self._session.version:
            fields["mcp-protocol-version"] = self._session.version
        with anyio.move_on_after(CLOSE_SECONDS_MAX):
            try:
                await self._client.delete(self._url, headers=fields)
            except (httpx2.HTTPError, AnswerableError):
                return


async def _nowhere(_: bytes) -> None:
    return

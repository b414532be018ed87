"""Run one stdio upstream: start and stop its process, and pass JSON-RPC lines between it and the SDK.

The SDK's own stdio client accepts lines of any length and writes standard error to the terminal. This transport bounds
both, and reports when the process has ended.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import mcp_types
from mcp.client.stdio import get_default_environment
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage

from answerable.adapters.mcp_upstream.account import names_of, tools_account, under
from answerable.adapters.mcp_upstream.direct import is_unasked
from answerable.adapters.mcp_upstream.following import TOOLS_CHANGED
from answerable.adapters.mcp_upstream.marks import ERROR_CODE, marked
from answerable.adapters.mcp_upstream.stdio_pipes import STDIN, Pipes
from answerable.adapters.mcp_upstream.unasked import UNASKED_BYTES_MAX, UnaskedPace
from answerable.errors import shown
from answerable.errors.codes.action import UPSTREAM_SECRET_MISSING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.client._transport import TransportStreams

    from answerable.adapters.mcp_upstream.settings import UpstreamSettings
    from answerable.adapters.mcp_upstream.stderr_log import StderrLog
    from answerable.adapters.mcp_upstream.stdio_direct import StdioDirect
    from answerable.core.registry.documents.documents import Server

GARBAGE_LINES_MAX: Final = 1_000
"""Consecutive lines that are no JSON-RPC, after which the process is not considered an MCP server and is stopped."""
SECRET_BYTES_MAX: Final = 65_536

_UNASKED: Final = (mcp_types.JSONRPCRequest, mcp_types.JSONRPCNotification)
_TOOLS_CHANGED: Final = TOOLS_CHANGED.encode()
_EXIT_POLL_SECONDS: Final = 0.01
_ID_BYTES_READ: Final = 200
_ANSWERED_ID: Final = re.compile(rb'^\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*([0-9]{1,15})\s*,')


@asynccontextmanager
async def stdio_transport(
    server: Server,
    *,
    settings: UpstreamSettings,
    log: StderrLog,
    lines: StdioDirect,
    gone: Callable[[], None],
    announced: Callable[[], None],
) -> AsyncIterator[TransportStreams]:
    """Start the process and yield its streams. Leaving the block stops the process and everything that it started.

    lines: queue of lines to the process, and pending direct requests.
    gone: called when no more output will arrive.
    announced: called for a line that announces changed tools, before any later line is processed.

    Raises OSError if the process cannot be started, Unavailable (`upstream.secret_missing`) if a secret reference in
    its environment cannot be resolved, and `upstream.user` if it cannot run under the account of the settings.
    """
    account = tools_account(settings.user)
    environment = {
        **get_default_environment(),
        **names_of(account),
        **{k: _resolved(v) for k, v in server.env},
    }
    reading = _Reading(lines, announced)
    process, pipes = await asyncio.get_running_loop().subprocess_exec(
        lambda: Pipes(
            split=_Lines(settings.message_bytes_max).feed,
            takes=reading.takes,
            requests=lines,
            log=log,
            gone=gone,
            write_seconds_max=settings.write_seconds_max,
        ),
        *under(account, [server.command, *server.args]),
        env=environment,
        cwd=server.cwd or None,
        start_new_session=True,
    )
    to_session, from_process = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    to_process, from_session = anyio.create_memory_object_stream[SessionMessage](0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reading.pass_on, pipes, to_session, gone)
        tasks.start_soon(_pass_on, from_session, lines)
        try:
            yield from_process, to_process
        finally:
            with anyio.CancelScope(shield=True):
                await _stop(process, settings.stop_seconds_max)
                for stream in (to_session, from_process, to_process, from_session):
                    await stream.aclose()
            tasks.cancel_scope.cancel()


def _resolved(value: str) -> str:
    """Return the value of a secret reference; any other value is returned unchanged. Raises Unavailable."""
    try:
        if value.startswith("env:"):
            return os.environ[value[4:]]
        if value.startswith("file:"):
            with Path(value[5:]).open(encoding="utf-8") as file:
                return file.read(SECRET_BYTES_MAX).rstrip("\r\n")
    except (KeyError, OSError, UnicodeDecodeError):
        raise UPSTREAM_SECRET_MISSING(f"secret reference {shown(value)} cannot be resolved") from None
    return value


class _Reading:
    """Handles the lines of one process: answers to direct requests at once, everything else in the session's time."""

    def __init__(self, direct: StdioDirect, announced: Callable[[], None]) -> None:
        self._direct = direct
        self._announced = announced
        self._pace = UnaskedPace()
        self._garbage = 0

    def takes(self, line: bytes | mcp_types.JSONRPCError) -> bool:
        """Whether the line was the answer to a direct request. Long lines are looked at by `pass_on`."""
        if not isinstance(line, bytes) or len(line) > UNASKED_BYTES_MAX or _TOOLS_CHANGED in line:
            return False
        is_ours = self._direct.took(line)
        if is_ours:
            self._garbage = 0
        return is_ours

    async def pass_on(
        self,
        pipes: Pipes[bytes | mcp_types.JSONRPCError],
        to_session: MemoryObjectSendStream[SessionMessage | Exception],
        gone: Callable[[], None],
    ) -> None:
        """Handle all lines that were not taken at once, until the output ends."""
        direct = self._direct
        try:
            async with to_session:
                while self._garbage < GARBAGE_LINES_MAX:
                    line = await pipes.next()
                    if isinstance(line, bytes) and len(line) > UNASKED_BYTES_MAX and is_unasked(line):
                        self._garbage += 1
                        await self._pace.take(1, len(line))
                        continue
                    if isinstance(line, bytes) and _TOOLS_CHANGED in line:
                        # The session processes this line only some loop iterations later, but calls that arrive until
                        # then must know of it.
                        self._announced()
                    if isinstance(line, bytes) and direct.took(line):
                        self._garbage = 0
                        continue
                    message = _message(line)
                    self._garbage = self._garbage + 1 if message is None else 0
                    if message is not None and not _took(direct, message):
                        if isinstance(message, _UNASKED):
                            await self._pace.take(1, len(line) if isinstance(line, bytes) else 0)
                        await to_session.send(SessionMessage(message))
        except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
            pass
        finally:
            # Order matters: a caller that sees the lost connection and retries must not find the same connection again.
            gone()
            direct.close(MCPError(mcp_types.CONNECTION_CLOSED, "Connection closed"))


def _took(direct: StdioDirect, message: mcp_types.JSONRPCMessage) -> bool:
    """Deliver answers that only the lenient reader understands, and errors created here, to their direct requests."""
    if not isinstance(message, mcp_types.JSONRPCResponse | mcp_types.JSONRPCError):
        return False
    return direct.settled(message.id, message.model_dump(exclude_none=True))


class _Lines:
    """Splits a byte stream into lines of bounded length. A longer line is dropped; if it was an answer, a marked error
    replaces it, so that its caller need not wait."""

    __slots__ = ("_buffer", "_bytes_max", "_dropping")

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._buffer = bytearray()
        self._dropping = False

    def feed(self, chunk: bytes) -> list[bytes | mcp_types.JSONRPCError]:
        found: list[bytes | mcp_types.JSONRPCError] = []
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            if not self._dropping and len(self._buffer) + len(piece) <= self._bytes_max:
                found.append(bytes(self._buffer + piece))
            elif not self._dropping and (answer := self._too_long(self._buffer or piece)):
                found.append(answer)
            self._dropping = False
            self._buffer.clear()
        if not self._dropping:
            self._buffer += rest
            if len(self._buffer) > self._bytes_max:
                if answer := self._too_long(self._buffer):
                    found.append(answer)
                self._dropping = True
                self._buffer.clear()
        return found

    def _too_long(self, start: bytes | bytearray) -> mcp_types.JSONRPCError | None:
        return _unreadable(
            bytes(start[:_ID_BYTES_READ]), f"the answer is longer than {self._bytes_max} bytes"
        )


def _message(line: bytes | mcp_types.JSONRPCError) -> mcp_types.JSONRPCMessage | None:
    """Return the message on a line; None for any other text, such as a greeting printed by mistake."""
    if not isinstance(line, bytes):
        return line
    try:
        return mcp_types.jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValueError:
        return _unreadable(line[:_ID_BYTES_READ], "the answer is no JSON-RPC message")


def _unreadable(start: bytes, message: str) -> mcp_types.JSONRPCError | None:
    """Return an error for the request that an unreadable line seems to answer, so that its caller need not wait."""
    answered = _ANSWERED_ID.match(start)
    if answered is None:
        return None
    error = mcp_types.ErrorData(code=ERROR_CODE, message=message, data=marked("unknown"))
    return mcp_types.JSONRPCError(jsonrpc="2.0", id=int(answered[1]), error=error)


async def _pass_on(from_session: MemoryObjectReceiveStream[SessionMessage], lines: StdioDirect) -> None:
    async with from_session:
        async for message in from_session:
            lines.put(message.message.model_dump_json(by_alias=True, exclude_unset=True).encode())


async def _stop(process: asyncio.SubprocessTransport, seconds_max: float) -> None:
    """Close its input, then send SIGTERM, then SIGKILL to its whole process group (MCP 2025-11-25, lifecycle,
    shutdown)."""
    stdin = process.get_pipe_transport(STDIN)
    if stdin is not None:
        stdin.close()
    for number in (signal.SIGTERM, signal.SIGKILL):
        if await _exited(process, seconds_max):
            break
        _signal_group(process, number)
    await _exited(process, seconds_max)
    # Child processes may outlive it.
    _signal_group(process, signal.SIGKILL)
    process.close()


async def _exited(process: asyncio.SubprocessTransport, seconds_max: float) -> bool:
    # Not the protocol's `connection_lost`: it also waits for pipes that a child of the process may hold open.
    with anyio.move_on_after(seconds_max):
        while process.get_returncode() is None:  # noqa: ASYNC110 - nothing but the process itself could set an event
            await anyio.sleep(_EXIT_POLL_SECONDS)
    return process.get_returncode() is not None


def _signal_group(process: asyncio.SubprocessTransport, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.get_pid(), number)

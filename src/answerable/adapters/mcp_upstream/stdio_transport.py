"""Run one stdio upstream: start and stop its process, and pass JSON-RPC lines between it and the SDK.

The SDK's own stdio client accepts lines of any length and writes standard error to the terminal. This transport bounds
both, and reports when the process has ended.
"""

from __future__ import annotations

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
from answerable.adapters.mcp_upstream.unasked import UNASKED_BYTES_MAX, UnaskedPace
from answerable.errors import shown
from answerable.errors.codes.action import UPSTREAM_SECRET_MISSING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from anyio.abc import Process
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.client._transport import TransportStreams

    from answerable.adapters.mcp_upstream.settings import UpstreamSettings
    from answerable.adapters.mcp_upstream.stderr_log import StderrLog
    from answerable.adapters.mcp_upstream.stdio_direct import StdioDirect
    from answerable.core.registry.documents.documents import Server

CHUNK_BYTES: Final = 65_536
GARBAGE_LINES_MAX: Final = 1_000
"""Consecutive lines that are no JSON-RPC, after which the process is not considered an MCP server and is stopped."""
SECRET_BYTES_MAX: Final = 65_536

_UNASKED: Final = (mcp_types.JSONRPCRequest, mcp_types.JSONRPCNotification)
_TOOLS_CHANGED: Final = TOOLS_CHANGED.encode()
_LOG_PAUSE_SECONDS: Final = 0.01
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
    process = await anyio.open_process(
        under(account, [server.command, *server.args]),
        env=environment,
        cwd=server.cwd or None,
        start_new_session=True,
    )
    to_session, from_process = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    to_process, from_session = anyio.create_memory_object_stream[SessionMessage](0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_read, process, to_session, lines, settings.message_bytes_max, gone, announced)
        tasks.start_soon(_pass_on, from_session, lines)
        tasks.start_soon(_write, process, lines, settings.write_seconds_max, gone)
        tasks.start_soon(_keep_log, process, log)
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


async def _read(
    process: Process,
    to_session: MemoryObjectSendStream[SessionMessage | Exception],
    direct: StdioDirect,
    bytes_max: int,
    gone: Callable[[], None],
    announced: Callable[[], None],
) -> None:
    assert process.stdout is not None  # noqa: S101 - opened with pipes
    lines = _Lines(bytes_max)
    pace = UnaskedPace()
    garbage = 0
    try:
        async with to_session:
            while garbage < GARBAGE_LINES_MAX:
                for line in lines.feed(await process.stdout.receive(CHUNK_BYTES)):
                    if isinstance(line, bytes) and len(line) > UNASKED_BYTES_MAX and is_unasked(line):
                        garbage += 1
                        await pace.take(1, len(line))
                        continue
                    if isinstance(line, bytes) and _TOOLS_CHANGED in line:
                        # The session processes this line only some loop iterations later, but calls that arrive until
                        # then must know of it.
                        announced()
                    if isinstance(line, bytes) and direct.took(line):
                        garbage = 0
                        continue
                    message = _message(line)
                    garbage = garbage + 1 if message is None else 0
                    if message is not None and not _took(direct, message):
                        if isinstance(message, _UNASKED):
                            await pace.take(1, len(line) if isinstance(line, bytes) else 0)
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


async def _write(process: Process, lines: StdioDirect, seconds_max: float, gone: Callable[[], None]) -> None:
    assert process.stdin is not None  # noqa: S101 - opened with pipes
    try:
        while True:
            text = await lines.lines()
            # A process that does not read would block the calls of all agents, so the connection is given up.
            with anyio.fail_after(seconds_max):
                await process.stdin.send(text)
    except (anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
        pass
    finally:
        gone()


async def _keep_log(process: Process, log: StderrLog) -> None:
    assert process.stderr is not None  # noqa: S101 - opened with pipes
    with suppress(anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
        while True:
            log.write(await process.stderr.receive(CHUNK_BYTES))
            # Throttled: a process that floods its standard error has to wait for us.
            await anyio.sleep(_LOG_PAUSE_SECONDS)


async def _stop(process: Process, seconds_max: float) -> None:
    """Close its input, then send SIGTERM, then SIGKILL to its whole process group (MCP 2025-11-25, lifecycle,
    shutdown)."""
    with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        if process.stdin is not None:
            await process.stdin.aclose()
    for number in (signal.SIGTERM, signal.SIGKILL):
        if await _exited(process, seconds_max):
            break
        _signal_group(process, number)
    await _exited(process, seconds_max)
    # Child processes may outlive it.
    _signal_group(process, signal.SIGKILL)
    with (
        anyio.move_on_after(seconds_max),
        suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError),
    ):
        await process.aclose()


async def _exited(process: Process, seconds_max: float) -> bool:
    # Not `wait`: asyncio's also waits for pipes that a child of the process may hold open.
    with anyio.move_on_after(seconds_max):
        while process.returncode is None:  # noqa: ASYNC110 - nothing but the process itself could set an event
            await anyio.sleep(_EXIT_POLL_SECONDS)
    return process.returncode is not None


def _signal_group(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)

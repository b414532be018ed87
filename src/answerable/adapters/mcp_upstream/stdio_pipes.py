"""Read and write the pipes of a stdio server's process in the callbacks of the event loop.

An answer that somebody waits for is delivered in the callback that read it, and requests are written at the end of the
turn that made them: a stream of asyncio would cost a task's turn for each of both. Laws: lines are handled in their
order; as long as one waits to be handled, no more is read; a process that reads nothing ends its connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.adapters.mcp_upstream.stderr_log import StderrLog
    from answerable.adapters.mcp_upstream.stdio_direct import StdioDirect

STDIN, STDOUT, STDERR = range(3)
LOG_PAUSE_SECONDS: Final = 0.01

Line = TypeVar("Line")


class Pipes(asyncio.SubprocessProtocol, Generic[Line]):
    """The pipes of one process.

    split: returns the lines that end in a piece of output. takes: handles a line at once, or returns False; then it
    waits for `next`. gone: called when the process takes no more input. write_seconds_max: for which it may read
    nothing.
    """

    def __init__(
        self,
        *,
        split: Callable[[bytes], list[Line]],
        takes: Callable[[Line], bool],
        requests: StdioDirect,
        log: StderrLog,
        gone: Callable[[], None],
        write_seconds_max: float,
    ) -> None:
        self._split, self._takes = split, takes
        self._requests, self._log = requests, log
        self._gone = gone
        self._write_seconds_max = write_seconds_max
        self._waiting: deque[Line] = deque()
        self._wanted: asyncio.Future[None] | None = None
        self._has_ended = False
        self._full: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.process = cast("asyncio.SubprocessTransport", transport)
        stdin: Any = self.process.get_pipe_transport(STDIN)
        self._requests.write_with(stdin.write)

    async def next(self) -> Line:
        """Return the next line that waits to be handled; the one before it is handled then. Raises anyio.EndOfStream
        after the last one."""
        while not self._waiting:
            if self._has_ended:
                raise anyio.EndOfStream
            self._read_on(STDOUT)
            self._wanted = asyncio.get_running_loop().create_future()
            await self._wanted
        return self._waiting.popleft()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == STDERR:
            self._log.write(data)
            # Throttled: a process that floods its standard error has to wait for us.
            self._pause(STDERR)
            asyncio.get_running_loop().call_later(LOG_PAUSE_SECONDS, self._read_on, STDERR)
            return
        waiting = self._waiting
        for line in self._split(data):
            if waiting or not self._takes(line):
                waiting.append(line)
        if waiting:
            self._pause(STDOUT)
            self._wake()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == STDOUT:
            self._has_ended = True
            self._wake()
        elif fd == STDIN:
            self._end_input()

    def pause_writing(self) -> None:
        self._requests.hold()
        if self._full is None:
            # A process that does not read would block the calls of all agents, so the connection is given up.
            loop = asyncio.get_running_loop()
            self._full = loop.call_later(self._write_seconds_max, self._end_input)

    def resume_writing(self) -> None:
        if self._full is not None:
            self._full.cancel()
            self._full = None
        self._requests.go_on()

    def _end_input(self) -> None:
        self._requests.write_with(None)
        self._gone()

    def _wake(self) -> None:
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)

    def _pause(self, fd: int) -> None:
        pipe = cast("asyncio.ReadTransport | None", self.process.get_pipe_transport(fd))
        if pipe is not None and not pipe.is_closing():
            pipe.pause_reading()

    def _read_on(self, fd: int) -> None:
        pipe = cast("asyncio.ReadTransport | None", self.process.get_pipe_transport(fd))
        if pipe is not None and not pipe.is_closing():
            pipe.resume_reading()

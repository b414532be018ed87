"""Supervise processes that `answerable up` starts, restarts and ends with itself; and detect, in such a process, the
parent's end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio

from answerable.adapters.mcp_upstream.account import account_of, under
from answerable.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from types import FrameType

    from anyio.abc import ByteSendStream, Process

ANSWERING_SECONDS: Final = 0.02
"""Interval at which a starting process's socket is checked."""
RESTART_SECONDS: Final = 0.1
RESTART_SECONDS_MAX: Final = 15.0
STEADY_SECONDS: Final = 30.0
"""A process that ran this long is restarted with the first delay again."""
END_SECONDS_MAX: Final = 5.0
"""Time for the process to end by itself, and the same again after SIGTERM."""

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptProcess:
    """A supervised process. name: for messages. command: starts it. socket: on which it answers. user: account it runs
    under; empty for this process's. ended: called each time that it ended or could not be started. feed: writes to its
    standard input while it runs."""

    name: str
    command: tuple[str, ...]
    socket: Path
    user: str = ""
    ended: Callable[[], None] = lambda: None
    feed: Callable[[ByteSendStream], Awaitable[None]] | None = None

    async def run(self) -> None:
        """Keep the process running until cancelled, then end it. A failed one is restarted with growing delays."""
        delay = RESTART_SECONDS
        while True:
            began = anyio.current_time()
            try:
                process = await anyio.open_process(
                    under(account_of(self.user), self.command),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=None,
                    # Ctrl-C at a terminal is for this process, which ends its children after itself.
                    start_new_session=True,
                )
            except (OSError, Unavailable, subprocess.SubprocessError) as error:
                self.ended()
                _log.error("the %s cannot be started: %s", self.name, error)
            else:
                try:
                    code = await self._code_of(process)
                finally:
                    with anyio.CancelScope(shield=True):
                        await _ended(process)
                self.ended()
                _log.warning("the %s ended with code %d and is restarted", self.name, code)
            delay = RESTART_SECONDS if anyio.current_time() - began > STEADY_SECONDS else delay
            await anyio.sleep(delay)
            delay = min(2 * delay, RESTART_SECONDS_MAX)

    async def _code_of(self, process: Process) -> int:
        async with anyio.create_task_group() as beside:
            if self.feed is not None and process.stdin is not None:
                beside.start_soon(_fed, self.feed, process.stdin)
            code = await process.wait()
            beside.cancel_scope.cancel()
        return code

    async def answering(self) -> None:
        """Wait until its socket accepts connections."""
        while True:
            if is_listening(self.socket):
                return
            await anyio.sleep(ANSWERING_SECONDS)


async def _fed(feed: Callable[[ByteSendStream], Awaitable[None]], pipe: ByteSendStream) -> None:
    # A process that reads no more is ending.
    with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        await feed(pipe)


async def _ended(process: Process) -> None:
    if process.stdin is not None:
        await process.stdin.aclose()
    for last_word in (process.terminate, process.kill):
        with anyio.move_on_after(END_SECONDS_MAX):
            await process.wait()
            break
        last_word()
    await process.wait()


def is_listening(path: Path) -> bool:
    """Whether a process accepts connections on this Unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        return probe.connect_ex(os.fspath(path)) == 0


def stop_on_signal(stop: anyio.Event) -> None:
    """From here to the end of the process, set the event at SIGINT, SIGTERM or SIGHUP. Call it in the loop of the
    event. SIGHUP comes when the terminal is closed; `nohup` has it ignored, and it stays so. SIGUSR1 and SIGUSR2, which
    tools for logs and profiles send, mean nothing here: each is told in the log. Programs that this process starts have
    the default actions.

    Not by a receiver that ends with the loop: the signal after it would raise KeyboardInterrupt anywhere in what stops.
    """
    loop = asyncio.get_running_loop()

    def set_stop(_number: int, _frame: FrameType | None) -> None:
        # A loop that is closed has stopped.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(stop.set)

    def tell(number: int, _frame: FrameType | None) -> None:
        with suppress(RuntimeError):
            # Not from here: the signal may come while a line is being written to the log.
            loop.call_soon_threadsafe(_log.warning, "%s means nothing here", signal.Signals(number).name)

    signal.signal(signal.SIGINT, set_stop)
    signal.signal(signal.SIGTERM, set_stop)
    for number, act in ((signal.SIGHUP, set_stop), (signal.SIGUSR1, tell), (signal.SIGUSR2, tell)):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, act)


async def stop_at_eof(stop: anyio.Event) -> None:
    """Set the event at the end of standard input: the parent holds the pipe's other end, which closes however the
    parent ends."""
    while True:
        await anyio.wait_readable(0)
        if not os.read(0, 4096):
            stop.set()
            return

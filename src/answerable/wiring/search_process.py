"""Run the process that answers searches: its index, its listener, and how far the server says that the log has come."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio import to_thread

from answerable.adapters.uvicorn_front import FrontLimits, Listeners, listen, run, serve, set_collector_apart
from answerable.wiring.kept_index import kept_index
from answerable.wiring.kept_logs import KeptLogs
from answerable.wiring.kept_process import stop_on_signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.wiring.kept_index import KeptIndex
    from answerable.wiring.setting_tree import Settings

__all__ = ["run", "serve_search", "set_collector_apart"]

NICE: Final = 10
"""Added to the niceness of the process: where cores are few, actions go first."""
READ_BYTES: Final = 4_096


async def serve_search(
    settings: Settings, door: Callable[[KeptIndex, KeptLogs], Any], *, started: Callable[[Listeners], None]
) -> None:
    """Answer searches until SIGINT, SIGTERM or SIGHUP, or the end of standard input, on which the server says how many
    entries are durable. Raises as `kept_index`, and Unavailable (`front.*`)."""

    def polite(listeners: Listeners) -> None:
        # Not before: a question may wait for the start.
        os.nice(NICE)
        started(listeners)

    with kept_index(settings) as index, closing(KeptLogs(settings, index.blind)) as logs:
        listeners = listen(uds=settings.search.socket)
        stop = anyio.Event()
        stop_on_signal(stop)
        following = _Following(index)
        async with anyio.create_task_group() as beside:
            beside.start_soon(following.listen, stop)
            beside.start_soon(following.run)
            if logs.is_needed:
                beside.start_soon(partial(to_thread.run_sync, logs.run, abandon_on_cancel=True))
            await serve(
                door(index, logs),
                listeners=listeners,
                limits=FrontLimits(**asdict(settings.front)),
                started=polite,
                stop=stop,
            )
            beside.cancel_scope.cancel()


class _Following:
    """Follows the log as far as the server says."""

    def __init__(self, index: KeptIndex) -> None:
        self._index = index
        self._told = 0
        self._news = anyio.Event()

    async def listen(self, stop: anyio.Event) -> None:
        """Read numbers, one a line; their end says that the server has ended."""
        rest = b""
        while True:
            await anyio.wait_readable(0)
            read = os.read(0, READ_BYTES)
            if not read:
                stop.set()
                return
            *lines, rest = (rest + read).split(b"\n")
            if lines:
                self._told = int(lines[-1])
                self._news.set()

    async def run(self) -> None:
        while True:
            await self._news.wait()
            self._news = anyio.Event()
            # A cancelled task does not wait for the thread, which ends when the index is closed.
            await to_thread.run_sync(self._index.follow, self._told, abandon_on_cancel=True)

"""Run calls that may never return in threads that do not delay the end of the process."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")


def begin(call: Callable[[], Result]) -> Future[Result]:
    """Begin a call in a thread of its own. The future has whatever the call returns or raises, and cannot be
    cancelled; a thread that never ends is left behind when the process ends."""
    future: Future[Result] = Future()
    future.set_running_or_notify_cancel()
    Thread(target=_run, args=(call, future), name="left at the end", daemon=True).start()
    return future


async def run_left(call: Callable[[], Result]) -> Result:
    """Return what the call returns; a cancellation leaves the thread behind at once. Raises as the call."""
    return await asyncio.wrap_future(begin(call))


def _run(call: Callable[[], Result], future: Future[Result]) -> None:
    try:
        result = call()
    except BaseException as failed:
        future.set_exception(failed)
    else:
        future.set_result(result)

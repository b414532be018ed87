"""Waits of tests: on what somebody brings about, or on the machine's clock, which servers of others look at too."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable

import anyio


async def until(holds: Callable[[], object | Awaitable[object]], *, seconds: float = 30) -> None:
    """Wait until it holds; the bound is for what never comes."""
    with anyio.fail_after(seconds):
        while True:
            found = holds()
            if await found if inspect.isawaitable(found) else found:
                return
            await anyio.sleep(0.02)


async def past(millis: float) -> None:
    """Wait until the machine's clock, in Unix milliseconds, is past this."""
    while time.time_ns() / 1_000_000 <= millis:  # noqa: ASYNC110 - a clock has no event
        await anyio.sleep(0.02)

"""The event loop of the server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

Result = TypeVar("Result")


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # Windows has none; the loop of the standard library does the same, slower.
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def run(main: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run `main` to its end in a fresh event loop: uvloop's where there is one. Ctrl-C cancels it."""
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(main())

"""Run a server's event loop, and configure the garbage collector for it."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

NEW_OBJECTS_MAX: Final = 10_000
"""New objects between two collections: an action leaves few cycles, and a collection blocks the loop."""

Result = TypeVar("Result")


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # Windows has none; the loop of the standard library does the same, slower.
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def run(main: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run `main` to its end in a new event loop: uvloop's if available. Ctrl-C cancels it."""
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(main())


def set_collector_apart() -> None:
    """Freeze existing objects, once a server is wired and answers: they live as long as the process, and collections
    skip them; new objects are collected less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS_MAX, *gc.get_threshold()[1:])

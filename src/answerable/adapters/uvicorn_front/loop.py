"""The event loop of a server, and the garbage collector beside it."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

NEW_OBJECTS_MAX: Final = 10_000
"""Between two collections of what is new: an action leaves few cycles, and a collection holds the loop."""

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


def set_collector_apart() -> None:
    """Once a server is wired and answers: what is there lives as long as the process, and no collection goes through it
    again; what is new is collected less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS_MAX, *gc.get_threshold()[1:])

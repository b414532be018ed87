"""Telling those who wait for a change, each in the event loop that it waits in."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Watchers:
    """Whoever wants to be told. May be used from any thread."""

    def __init__(self) -> None:
        self._tell: dict[object, Callable[[], None]] = {}

    def add(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` in the event loop that runs here, or, where none does, in the thread that tells; returns what
        ends it, after which it is not called again."""
        token = object()

        def tell_here() -> None:
            if token in self._tell:
                changed()

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._tell[token] = tell_here
        else:

            def tell_there() -> None:
                # The loop may have ended since; then nobody is there to be told.
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(tell_here)

            self._tell[token] = tell_there

        def end() -> None:
            self._tell.pop(token, None)

        return end

    def tell(self) -> None:
        """Tell all of them."""
        for tell in tuple(self._tell.values()):
            tell()

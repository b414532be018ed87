"""Notify watchers of a change, each in its own event loop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Watchers:
    """The registered watchers. Thread-safe."""

    def __init__(self) -> None:
        self._tell: dict[object, Callable[[], None]] = {}

    def add(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Register `changed`: called in the current event loop or, without one, in the notifying thread.

        Returns the function that unregisters it; `changed` is not called after that.
        """
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
                # The loop may have ended; then there is no watcher to notify.
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(tell_here)

            self._tell[token] = tell_there

        def end() -> None:
            self._tell.pop(token, None)

        return end

    def tell(self) -> None:
        """Notify all watchers."""
        for tell in tuple(self._tell.values()):
            tell()

"""Wake one waiting task of an event loop, so that nothing polls."""

from __future__ import annotations

import asyncio
from typing import Final

WAIT_SECONDS_MAX: Final = 86_400.0
"""Longest single wait on a bell, the most a timer takes."""


class Bell:
    """An event for one waiting task in the event loop, so that nothing polls. Any producer rings."""

    __slots__ = ("_has_rung", "_listening")

    def __init__(self) -> None:
        self._has_rung = False
        self._listening: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Wake the waiting task, or let the next wait return at once."""
        self._has_rung = True
        if self._listening is not None:
            _wake(self._listening)

    async def heard(self, *, seconds_max: float) -> None:
        """Wait until the bell has rung since the last wait, at most `seconds_max` seconds."""
        if not self._has_rung:
            # Use a timer, not a cancel scope: an expiring scope costs ten times as much, and there are many bells.
            loop = asyncio.get_running_loop()
            self._listening = loop.create_future()
            timer = loop.call_later(min(seconds_max, WAIT_SECONDS_MAX), _wake, self._listening)
            try:
                await self._listening
            finally:
                timer.cancel()
                self._listening = None
        self._has_rung = False


def _wake(listening: asyncio.Future[None]) -> None:
    if not listening.done():
        listening.set_result(None)

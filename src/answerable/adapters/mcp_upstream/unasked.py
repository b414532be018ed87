"""What a server says by itself: how long one message of it may be, and how many there may be in a second.

Requests, notifications and events that nobody asked for take the loop from everybody else. More than a second's worth
is left in the server's own pipe or connection until its time comes: a server that floods waits for us, and so do the
answers behind its flood, which are its own.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

UNASKED_BYTES_MAX: Final = 65_536
"""Of one message. Longer is dropped unread: reading it would take the loop from everybody else."""
UNASKED_PER_SECOND: Final = 250
"""Of one server, answers that only look like it among them. So many may come at once, too: progress comes in bursts."""
BYTES_OF_ONE: Final = 2_048
"""A longer one counts as several."""


class UnaskedPace:
    """Of one connection to one server."""

    __slots__ = ("_free_at", "_now", "_sleep")

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = anyio.sleep,
    ) -> None:
        self._now, self._sleep = now, sleep
        self._free_at = -math.inf

    async def take(self, messages: float, size: int) -> None:
        """Wait until there is room for so many messages of so many bytes together."""
        amount = max(messages, size / BYTES_OF_ONE)
        if amount <= 0:
            return
        now = self._now()
        self._free_at = max(self._free_at, now - 1.0) + amount / UNASKED_PER_SECOND
        if (ahead := self._free_at - now) > 0:
            await self._sleep(ahead)

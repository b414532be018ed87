"""Limit the size and rate of a server's unsolicited messages.

Unsolicited requests, notifications and events use event loop time of all agents. Messages beyond one second's limit
stay in the server's own pipe or connection until they are due: a flooding server waits, and so do its own answers
behind the flood.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

UNASKED_BYTES_MAX: Final = 65_536
"""Limit of one message. A longer message is dropped undecoded, because decoding it would block the event loop."""
UNASKED_PER_SECOND: Final = 250
"""Limit per server, including answers that resemble unsolicited messages. A burst of this many is allowed, since
progress comes in bursts."""
BYTES_OF_ONE: Final = 2_048
"""A longer message counts as several."""


class UnaskedPace:
    """Rate limit of one connection to one server."""

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
        """Wait until this many messages of `size` bytes in total are within the limit."""
        amount = max(messages, size / BYTES_OF_ONE)
        if amount <= 0:
            return
        now = self._now()
        self._free_at = max(self._free_at, now - 1.0) + amount / UNASKED_PER_SECOND
        if (ahead := self._free_at - now) > 0:
            await self._sleep(ahead)

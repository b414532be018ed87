"""Measuring the processes of strangers, who start as many as they like: each measurement may read a whole program.

Laws: measurements have threads of their own, so nobody else waits for them; of one user one is under way at a time and
a few wait; who finds no place is told at once to come again, unless it is one that is enrolled already.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from answerable.errors.codes.workloads import PROCESS_BUSY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from answerable.ports.process_observer import ProcessFacts

TOGETHER_MAX: Final = 4
WAITING_PER_USER_MAX: Final = 8


class Measuring:
    """Belongs to the event loop's thread."""

    __slots__ = ("_threads", "_turns", "_users")

    def __init__(self) -> None:
        self._threads = anyio.CapacityLimiter(TOGETHER_MAX)
        self._turns: dict[int, anyio.Lock] = {}
        self._users: dict[int, int] = {}

    async def measured(self, uid: int, observe: Callable[[], ProcessFacts]) -> ProcessFacts:
        """What `observe` says of a process of this user. Raises Unavailable (`process.busy`), and what it raises."""
        async with self.turn(uid):
            return await self.in_thread(observe)

    @asynccontextmanager
    async def turn(self, uid: int, *, enrolled: bool = False) -> AsyncIterator[None]:
        """Whose turn it is measures by `in_thread`. Raises Unavailable (`process.busy`).

        enrolled: its instance lives, and it asks again because something changed, as all others then do: it waits.
        """
        asking = self._users.get(uid, 0)
        if asking > WAITING_PER_USER_MAX and not enrolled:
            raise PROCESS_BUSY(
                f"{asking} processes of this user are being measured or wait for it: try again in a second"
            )
        self._users[uid] = asking + 1
        try:
            async with self._turns.setdefault(uid, anyio.Lock()):
                yield
        finally:
            self._users[uid] -= 1
            if not self._users[uid]:
                del self._users[uid], self._turns[uid]

    async def in_thread(self, observe: Callable[[], ProcessFacts]) -> ProcessFacts:
        """What `observe` says. Not called when the caller is cancelled before there is a thread."""
        return await anyio.to_thread.run_sync(observe, limiter=self._threads)

"""Limit the measuring of unauthenticated local processes: each measurement may read a whole program.

Laws: measurements run in threads of their own, so that nothing else waits for them. Of each user, one measurement runs
at a time and a few wait. A request beyond that is refused at once, except for a process that is already enrolled.
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
    """Queues measurements. Use in the event loop's thread only."""

    __slots__ = ("_threads", "_turns", "_users")

    def __init__(self) -> None:
        self._threads = anyio.CapacityLimiter(TOGETHER_MAX)
        self._turns: dict[int, anyio.Lock] = {}
        self._users: dict[int, int] = {}

    async def measured(self, uid: int, observe: Callable[[], ProcessFacts]) -> ProcessFacts:
        """Run `observe` for a process of this user and return the result. Raises Unavailable (`process.busy`), and as
        `observe`."""
        async with self.turn(uid):
            return await self.in_thread(observe)

    @asynccontextmanager
    async def turn(self, uid: int, *, enrolled: bool = False) -> AsyncIterator[None]:
        """Wait for this user's turn; measure with `in_thread` while holding it. Raises Unavailable (`process.busy`).

        `enrolled`: the process has a live instance and is measured again because of a change that affects all of them:
        it may wait beyond the limit.
        """
        asking = self._users.get(uid, 0)
        if asking > WAITING_PER_USER_MAX and not enrolled:
            raise PROCESS_BUSY(
                f"{asking} processes of this user are being measured, which is the limit: try "
                "again in a second"
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
        """Run `observe` in a measuring thread. Not called if the caller is cancelled before a thread is free."""
        return await anyio.to_thread.run_sync(observe, limiter=self._threads)

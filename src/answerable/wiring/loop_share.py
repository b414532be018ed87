"""Share the event loop's time fairly between the sources of messages at all endpoints.

Laws: the time that a source of messages takes is measured, step by step, and its next message waits until the source is
within its share; this holds only while other sources are present, so that a lone source never waits, and owes no more
than a moment of what it took alone when another comes; waiting messages of a source keep their order and delay nobody
else. A source that is refused in any case gets a small share, and its
presence delays nobody.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio

from answerable.core.identity.proof.channel import CHANNEL_EXTENSION, Channel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping

SHARE: Final = 0.25
"""Share of the loop's time for one source, while others are present."""
REFUSED_SHARE: Final = 0.05
"""Share for a source that is not in force, and for all unauthenticated callers of one user or host."""
PRESENT_SECONDS: Final = 5.0
"""Time after its last message for which a source counts as present."""
BURST_SECONDS: Final = 0.02
"""Loop time that a source may take at once after it took little."""
OWED_SECONDS: Final = 0.1
"""How long a source waits at most for what it took while it was alone."""
UNMEASURED_SECONDS: Final = 0.0005
"""Cost of a message outside of what is measured: its head and its answer on the wire."""
THROWN_BYTES: Final = 524_288
"""This many unread bytes cost as much as one more message."""
THROWN_MAX: Final = 16_777_216
"""The largest unread part of a body."""
LOOK_SECONDS: Final = 0.05
"""Interval at which a waiting source checks whether the others have left."""
SHORT_SECONDS: Final = 0.0005
"""A step that took no longer is charged by the wall clock: to ask for the processor time of a thread is a system call,
and a message has some twenty steps. A thread that loses its core loses it for longer than this."""
MARKED_SECONDS: Final = 0.001
"""Greatest age of the processor time from which a longer step is measured."""
SOURCES_MAX: Final = 4_096
"""Sources remembered; above this number, those within their share are forgotten."""

Result = TypeVar("Result")


class _Source:
    """One source. free_at: when its next message may begin, by the time it took so far."""

    __slots__ = ("free_at", "line")

    def __init__(self) -> None:
        self.free_at = 0.0
        self.line = asyncio.Lock()


class LoopShare:
    """Shares of one event loop. now: monotonic seconds. worked: seconds that this thread has worked."""

    def __init__(
        self,
        *,
        share: float = SHARE,
        now: Callable[[], float] = time.monotonic,
        worked: Callable[[], float] = time.thread_time,
        sleep: Callable[[float], Awaitable[object]] = anyio.sleep,
    ) -> None:
        self._share = share
        self._now = now
        self._stopwatch = _Stopwatch(now, worked)
        self._sleep = sleep
        self._sources: dict[str, _Source] = {}
        self._newest, self._newest_at, self._other_at = "", -PRESENT_SECONDS, -PRESENT_SECONDS

    def here(self, source: str) -> None:
        """Note the presence of a source that others must not delay."""
        if source != self._newest:
            self._newest, self._other_at = source, self._newest_at
        self._newest_at = self._now()

    async def run(
        self,
        source: str,
        message: Coroutine[Any, Any, Result],
        *,
        stands: bool = True,
        is_known: bool = True,
    ) -> Result:
        """Wait for this source's turn, then handle its message. stands: False if it will be refused in any case.
        is_known: False if the sender is not authenticated yet; its presence then delays nobody.

        Raises what the message raises.
        """
        one = self._of(source)
        share = self._share if stands else min(self._share, REFUSED_SHARE)
        try:
            await self._turn(source, one, counts=stands and is_known)
        except BaseException:
            message.close()
            raise
        self._count(one, share)
        looks_at = one.free_at + OWED_SECONDS

        def took(seconds: float) -> None:
            nonlocal looks_at
            one.free_at += seconds / share
            if one.free_at > looks_at:
                # It is much for one message: look whether somebody waits for it.
                looks_at = self._now() + OWED_SECONDS
                if not self._others(source):
                    one.free_at = min(one.free_at, looks_at)

        result: Result = await _Measured(message, self._stopwatch, took)
        return result

    async def turn(self, source: str, *, bytes_thrown: int = 0) -> None:
        """Wait until a source that is not in force may be answered, and count the cost. bytes_thrown: of a body that
        arrives unread."""
        one = self._of(source)
        await self._turn(source, one, counts=False)
        self._count(one, min(self._share, REFUSED_SHARE), 1 + min(bytes_thrown, THROWN_MAX) / THROWN_BYTES)

    def _count(self, one: _Source, share: float, times: float = 1.0) -> None:
        """Count the fixed cost of a message as it begins, so that the next one in line waits for it."""
        one.free_at = (
            max(one.free_at, self._now() - BURST_SECONDS / share) + times * UNMEASURED_SECONDS / share
        )

    async def _turn(self, source: str, one: _Source, *, counts: bool) -> None:
        if counts:
            self.here(source)
        if not one.line.locked() and one.free_at <= self._now():
            return
        async with one.line:
            while (left := one.free_at - self._now()) > 0 and self._others(source):
                await self._sleep(min(left, LOOK_SECONDS))
            if left > 0:
                # It is alone, and what it took delayed nobody.
                one.free_at = self._now()

    def _others(self, source: str) -> bool:
        at = self._other_at if source == self._newest else self._newest_at
        return self._now() - at < PRESENT_SECONDS

    def _of(self, source: str) -> _Source:
        one = self._sources.get(source)
        if one is None:
            if len(self._sources) >= SOURCES_MAX:
                at = self._now()
                kept = {name: it for name, it in self._sources.items() if it.line.locked() or it.free_at > at}
                self._sources = kept
            one = self._sources[source] = _Source()
        return one


class _Stopwatch:
    """Measures what a thread works in a step: never less, and more by at most `SHORT_SECONDS` in a short step, or by
    `MARKED_SECONDS` of work before a longer one. Parameters as those of `LoopShare`."""

    __slots__ = ("_marked_at", "_marked_worked", "_now", "_worked")

    def __init__(self, now: Callable[[], float], worked: Callable[[], float]) -> None:
        self._now, self._worked = now, worked
        self._marked_at, self._marked_worked = -float("inf"), 0.0

    def begin(self) -> float:
        """Return the begin of a step, for `worked_since`."""
        at = self._now()
        if at - self._marked_at > MARKED_SECONDS:
            self._marked_at, self._marked_worked = at, self._worked()
        return at

    def worked_since(self, begun: float) -> float:
        """Return what the step took, in seconds."""
        at = self._now()
        span = at - begun
        if span <= SHORT_SECONDS:
            return span
        worked = self._worked()
        found = min(span, worked - self._marked_worked)
        self._marked_at, self._marked_worked = at, worked
        return found


class _Measured:
    """A coroutine whose steps are measured one by one; time in which it waits costs nothing."""

    __slots__ = ("_inner", "_stopwatch", "_took")

    def __init__(
        self, inner: Coroutine[Any, Any, Result], stopwatch: _Stopwatch, took: Callable[[float], None]
    ) -> None:
        self._inner, self._stopwatch, self._took = inner, stopwatch, took

    def __await__(self) -> Generator[Any, Any, Any]:
        inner, stopwatch, took = self._inner, self._stopwatch, self._took
        value: Any = None
        error: BaseException | None = None
        while True:
            begun = stopwatch.begin()
            try:
                awaited = inner.send(value) if error is None else inner.throw(error)
            except StopIteration as end:
                return end.value
            finally:
                took(stopwatch.worked_since(begun))
            value = error = None
            try:
                value = yield awaited
            except GeneratorExit:
                inner.close()
                raise
            except BaseException as raised:
                error = raised


def source_of(scope: Mapping[str, Any]) -> str:
    """Return the source of an unauthenticated request: its local user, or its address."""
    channel, client = (scope.get("extensions") or {}).get(CHANNEL_EXTENSION), scope.get("client")
    if isinstance(channel, Channel) and channel.peer is not None:
        return f"stranger uid {channel.peer.uid}"
    return f"stranger {client[0] if client else ''}"


def shared(share: LoopShare, app: Any) -> Any:
    """Return an ASGI application whose requests are charged to the source that they come from."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        message = app(scope, receive, send)
        if scope["type"] == "http":
            await share.run(source_of(scope), message, is_known=False)
        else:
            await message

    return application


def preferred(share: LoopShare, app: Any, *, uids: frozenset[int]) -> Any:
    """Return an ASGI application for these users of this machine, whose requests never wait."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        channel = (scope.get("extensions") or {}).get(CHANNEL_EXTENSION)
        if isinstance(channel, Channel) and channel.peer is not None and channel.peer.uid in uids:
            share.here("operator")
        await app(scope, receive, send)

    return application


class Pace:
    """Rate limit per source: `per_second` units, with one second's worth as burst; a source above it waits."""

    def __init__(
        self,
        per_second: float,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_second = per_second
        self._now = now
        self._free_at: dict[str, float] = {}

    def take(self, source: str, amount: float) -> float:
        """Take this amount, and return for how long its source has to wait: in the order of calls, not above 0 where it
        need not."""
        now = self._now()
        if source not in self._free_at and len(self._free_at) >= SOURCES_MAX:
            self._free_at = {name: at for name, at in self._free_at.items() if at > now}
        free_at = max(self._free_at.get(source, now), now)
        self._free_at[source] = free_at + amount / self._per_second
        return free_at - now - 1.0

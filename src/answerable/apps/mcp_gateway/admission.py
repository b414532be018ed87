"""What one caller may cost the others: whose body is read, when, how much of it, and where it is parsed.

Laws: no body is read whose sender is not known by its head; of a caller that is refused whatever it asks for no more is
read than says what it asked for; large bodies are read one at a time for each agent and parsed one at a time for all,
beside the event loop; what an agent sends is bounded by the second.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import anyio
import anyio.to_thread
from mcp_types import INTERNAL_ERROR

from answerable.apps.mcp_gateway.message import StoppedError
from answerable.apps.mcp_gateway.wire import BodyBudget, TooLargeError, declared_bytes, read_body
from answerable.wiring.loop_share import THROWN_MAX, Pace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import Receive

    from answerable.apps.mcp_gateway.services import GatewayLimits
    from answerable.errors import Refused

LARGE_BYTES: Final = 32_768
"""A body above this is hashed and parsed beside the event loop."""
REFUSED_BYTES_MAX: Final = 8_192
"""Of a body whose sender does not stand: enough for what it asked for, which is on record then."""
DRAINED_BYTES_MAX: Final = THROWN_MAX
"""Of a body that is refused: one that is longer ends its connection."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A body that came in. digest: its SHA-256. aside: where a large one is parsed; None for the event loop."""

    content: bytes
    digest: bytes
    aside: Aside | None = None


class Aside(Protocol):
    """As `Admission.aside`."""

    async def __call__(self, work: Callable[[], Result]) -> Result:
        """Do it beside the event loop. Raises what it raises."""
        ...


class Admission:
    """Of one gateway, on one event loop."""

    def __init__(self, limits: GatewayLimits) -> None:
        self._limits = limits
        self._budget = BodyBudget(limits.bodies_bytes_max)
        self._pace = Pace(limits.body_bytes_per_second)
        self._requests: dict[str, int] = {}
        self._large: dict[str, asyncio.Lock] = {}
        self._aside: anyio.CapacityLimiter | None = None

    @asynccontextmanager
    async def request(self, agent: str) -> AsyncIterator[None]:
        """Within it is one request of an agent; those that wait count. Raises StoppedError past the bound."""
        most, open_now = self._limits.requests_per_agent_max, self._requests.get(agent, 0)
        if open_now >= most:
            raise StoppedError(
                429, INTERNAL_ERROR, f"an agent has at most {most} requests at a time", "http.too_many"
            )
        self._requests[agent] = open_now + 1
        try:
            yield
        finally:
            left = self._requests[agent] - 1
            if left:
                self._requests[agent] = left
            else:
                del self._requests[agent]
                self._large.pop(agent, None)

    @asynccontextmanager
    async def body(
        self, receive: Receive, headers: dict[bytes, bytes], agent: str, fault: Refused | None
    ) -> AsyncIterator[Body]:
        """The body of a proved agent's message; inside is where it is parsed. fault: why the agent does not stand.

        Raises what `read_body` does, and the fault where more would have to be read than says what was asked for.
        """
        declared = declared_bytes(headers, self._limits.body_bytes_max)
        # Also what is not read here comes in, and costs something before it is thrown away.
        await self._pace.take(agent, min(declared, self._limits.body_bytes_max))
        if declared > self._limits.body_bytes_max:
            raise TooLargeError
        if fault is not None and declared > REFUSED_BYTES_MAX:
            raise fault
        if declared <= LARGE_BYTES:
            content = await read_body(receive, headers, self._limits, self._budget)
            yield Body(content=content, digest=sha256(content).digest())
            return
        async with self._large.setdefault(agent, asyncio.Lock()):
            content = await read_body(receive, headers, self._limits, self._budget)
            digest = await self.aside(lambda: sha256(content).digest())
            yield Body(content=content, digest=digest, aside=self.aside)

    async def aside(self, work: Callable[[], Result]) -> Result:
        """Do one thing beside the event loop, and no two at a time: each takes the interpreter from the loop."""
        if self._aside is None:
            self._aside = anyio.CapacityLimiter(1)
        return await anyio.to_thread.run_sync(work, limiter=self._aside)

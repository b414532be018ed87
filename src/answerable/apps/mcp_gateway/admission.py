"""Limit what one caller can cost the others: whose body is read, how much of it, at what rate, and where it is parsed.

Laws: no body is read before its head proves the sender; of a caller that is refused in any case only as much is read as
names the requested action; large bodies are read one at a time per agent and parsed one at a time overall, outside the
event loop; what an agent sends is limited per second.
"""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import anyio
import anyio.to_thread
import msgspec

from answerable.apps.mcp_gateway.message import StoppedError
from answerable.apps.mcp_gateway.rpc_errors import INTERNAL_ERROR
from answerable.apps.mcp_gateway.wire import BodyBudget, TooLargeError, declared_bytes, read_body
from answerable.wiring.loop_share import THROWN_MAX, Pace

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive

    from answerable.apps.mcp_gateway.exchange import Exchange
    from answerable.apps.mcp_gateway.services import GatewayLimits
    from answerable.errors import Refused

LARGE_BYTES: Final = 32_768
"""Bodies above this size are hashed and parsed outside the event loop."""
REFUSED_BYTES_MAX: Final = 8_192
"""Limit for the body of an agent that is not in force: enough to record what it requested."""
DRAINED_BYTES_MAX: Final = THROWN_MAX
"""Limit for a refused body that is still drained: a longer one ends its connection."""

Result = TypeVar("Result")


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """A received body. digest: its SHA-256. aside: runs the parsing of a large body; None means the event loop parses
    it. line: held until a large body is parsed."""

    content: bytes
    digest: bytes
    aside: Aside | None = None
    line: asyncio.Lock | None = None

    def is_parsed(self) -> None:
        """Let the agent's next large body be read. To be called once, at the latest when the message fails."""
        if self.line is not None:
            self.line.release()


class Aside(Protocol):
    """As `Admission.aside`."""

    async def __call__(self, work: Callable[[], Result]) -> Result:
        """Run the work outside the event loop. Raises what it raises."""
        ...


class Admission:
    """The limits of one gateway, on one event loop."""

    def __init__(self, limits: GatewayLimits) -> None:
        self._limits = limits
        self._budget = BodyBudget(limits.bodies_bytes_max)
        self._pace = Pace(limits.body_bytes_per_second)
        self._requests: dict[str, int] = {}
        self._large: dict[str, asyncio.Lock] = {}
        self._aside: anyio.CapacityLimiter | None = None

    def enter(self, agent: str) -> None:
        """Count one request of an agent until it `leave`s, waiting ones included. Raises StoppedError above the
        limit."""
        most, open_now = self._limits.requests_per_agent_max, self._requests.get(agent, 0)
        if open_now >= most:
            raise StoppedError(
                429, INTERNAL_ERROR, f"an agent has at most {most} requests at a time", "http.too_many"
            )
        self._requests[agent] = open_now + 1

    def leave(self, agent: str) -> None:
        """End one request of an agent."""
        left = self._requests[agent] - 1
        if left:
            self._requests[agent] = left
        else:
            del self._requests[agent]
            self._large.pop(agent, None)

    async def body(
        self,
        exchange: Exchange,
        receive: Receive,
        headers: dict[bytes, bytes],
        agent: str,
        fault: Refused | None,
    ) -> Body:
        """Return the body of an authenticated agent's message. fault: why the agent is not in force.

        Raises what `read_body` does, and `fault` if the body is larger than what names the requested action.
        """
        declared = declared_bytes(headers, self._limits.body_bytes_max)
        # A body that is not read here still arrives and costs bandwidth before it is discarded.
        ahead = self._pace.take(agent, min(declared, self._limits.body_bytes_max))
        if ahead > 0:
            await anyio.sleep(ahead)
        if declared > self._limits.body_bytes_max:
            raise TooLargeError
        if fault is not None and declared > REFUSED_BYTES_MAX:
            raise fault
        if declared <= LARGE_BYTES:
            content = await read_body(exchange, receive, headers, self._limits, self._budget)
            return Body(content=content, digest=sha256(content).digest())
        line = self._large.setdefault(agent, asyncio.Lock())
        await line.acquire()
        try:
            content = await read_body(exchange, receive, headers, self._limits, self._budget)
            digest = await self.aside(lambda: sha256(content).digest())
        except BaseException:
            line.release()
            raise
        return Body(content=content, digest=digest, aside=self.aside, line=line)

    async def aside(self, work: Callable[[], Result]) -> Result:
        """Run work outside the event loop, one at a time: each holds the interpreter lock."""
        if self._aside is None:
            self._aside = anyio.CapacityLimiter(1)
        return await anyio.to_thread.run_sync(work, limiter=self._aside)

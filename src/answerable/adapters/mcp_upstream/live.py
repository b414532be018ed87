"""One connection to one server while it holds, and the two ways of not getting an answer on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from mcp.client.session import ClientSession

    from answerable.adapters.mcp_upstream.direct import Direct


class NotSentError(Exception):
    """There was no connection, so nothing was sent."""


class TimedOutError(Exception):
    """No answer came in time; the upstream was told to stop."""


@dataclass(slots=True, kw_only=True, eq=False)
class Live:
    """lost: set once nothing more can be asked on it. direct: the short way for plain requests, where there is one.

    calls: requests that wait for an answer; idle: set at zero. acknowledged: resource URIs that the server sends
    updates of. tried: those it was last asked for. settled: set after each asking, and at the end.
    """

    session: ClientSession
    lost: anyio.Event
    direct: Direct | None = None
    calls: int = 0
    idle: anyio.Event = field(default_factory=anyio.Event)
    acknowledged: frozenset[str] = frozenset()
    tried: frozenset[str] = frozenset()
    settled: anyio.Event = field(default_factory=anyio.Event)

"""Hold the state of one live connection to a server, and define the exceptions for unanswered requests."""

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
    """No answer arrived in time; the upstream was told to stop."""


@dataclass(slots=True, kw_only=True, eq=False)
class Live:
    """One live connection. lost: set once it accepts no more requests. direct: sends plain requests directly, if
    possible.

    calls: number of unanswered requests. idle: set when `calls` reaches zero.
    acknowledged: resource URIs whose updates the server sends. tried: URIs of the last subscription attempt.
    settled: set after each attempt, and at the end.
    is_followed: whether a stream of announcements is open; in the session-based era they come without one. is_behind:
    whether the lists were read before the first one was, so that they are read again once it is.
    """

    session: ClientSession
    lost: anyio.Event
    direct: Direct | None = None
    calls: int = 0
    idle: anyio.Event = field(default_factory=anyio.Event)
    acknowledged: frozenset[str] = frozenset()
    tried: frozenset[str] = frozenset()
    settled: anyio.Event = field(default_factory=anyio.Event)
    is_followed: bool = False
    is_behind: bool = False

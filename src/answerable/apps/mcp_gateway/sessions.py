"""Sessions of the session-based era: each belongs to the agent that opened it, and their number is limited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.apps.mcp_gateway.events import Follower
    from answerable.core.identity.names.principal import AgentId


@dataclass(slots=True, kw_only=True, eq=False)
class Session:
    """One session. requests: open now. follower: delivers the upstream's events; closed with the session. released:
    called after the end of the session, to unregister it from being cut."""

    id: str
    agent: AgentId
    used_at: float
    requests: int = 0
    follower: Follower | None = None
    released: Callable[[], None] | None = None


class Sessions:
    """All sessions of one upstream's server. An id that is not listed here is refused, whatever the SDK still
    remembers."""

    __slots__ = ("_by_id", "_idle_seconds", "_per_agent_max")

    def __init__(self, *, per_agent_max: int, idle_seconds: float) -> None:
        self._by_id: dict[str, Session] = {}
        self._per_agent_max = per_agent_max
        self._idle_seconds = idle_seconds

    def open(self, session_id: str, agent: AgentId) -> list[str]:
        """Bind a new session to its agent; return the ids of the sessions that ended for it."""
        now = anyio.current_time()
        ended = [
            session.id
            for session in self._by_id.values()
            if not session.requests and now - session.used_at > self._idle_seconds
        ]
        own = [
            session for session in self._by_id.values() if session.agent == agent and session.id not in ended
        ]
        if len(own) >= self._per_agent_max:
            ended.append(min(own, key=lambda session: (session.requests > 0, session.used_at)).id)
        for gone in ended:
            self.end(gone)
        self._by_id[session_id] = Session(id=session_id, agent=agent, used_at=now)
        return ended

    def release_by(self, session_id: str, released: Callable[[], None]) -> None:
        """Call `released` when the session has ended; at once if it already has."""
        session = self._by_id.get(session_id)
        if session is None:
            released()
        else:
            session.released = released

    def find(self, session_id: str, agent: AgentId) -> Session | None:
        """Return the session if it is this agent's; another agent's is reported as not existing."""
        session = self._by_id.get(session_id)
        if session is None or session.agent != agent:
            return None
        session.used_at = anyio.current_time()
        return session

    def end(self, session_id: str) -> None:
        """Remove a session and release its follower; idempotent."""
        session = self._by_id.pop(session_id, None)
        if session is None:
            return
        if session.follower is not None:
            session.follower.close()
        if session.released is not None:
            session.released()

    def end_all(self) -> None:
        """End all sessions."""
        for session_id in list(self._by_id):
            self.end(session_id)

"""Session keys opened by signed handshakes: the agent of each, and when it ends.

Laws: a session ends when its agent or key stops being valid, and does not come back with it. An agent that opens too
many sessions loses its own least recently used session, never another agent's. Sessions of instances and sessions of
the agent's registered key have separate limits.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Final

from answerable.core.identity.proof.session import SequenceWindow

if TYPE_CHECKING:
    from answerable.core.identity.proof.session import SessionKey
    from answerable.core.registry.snapshot.directory import AgentDirectory
    from answerable.flows.state.known_callers import KnownKey

SESSIONS_PER_INSTANCE_MAX: Final = 8


class ProofSession:
    """One session. `at`, `ends_at`: seconds of the monotonic clock."""

    __slots__ = ("agent", "binding", "ends_at", "enrolled", "key", "thumbprint", "used_at", "window")

    def __init__(self, *, name: str, known: KnownKey, key: SessionKey, at: float, ends_at: float) -> None:
        self.agent = known.agent.name
        self.thumbprint = known.key.thumbprint
        self.enrolled = known.enrolled
        self.key = key
        self.used_at = at
        self.ends_at = ends_at
        self.binding = f"session:{name}"
        self.window = SequenceWindow()


class ProofSessions:
    """The open sessions. Synchronous, thread-safe. `per_agent_max`: of sessions opened with registered keys."""

    def __init__(self, directory: AgentDirectory, *, per_agent_max: int) -> None:
        self._directory = directory
        self._per_agent_max = per_agent_max
        self._lock = Lock()
        self._open: dict[str, ProofSession] = {}

    def find(self, name: str, *, at: float) -> ProofSession | None:
        """Return the session of this name, if it has not ended."""
        session = self._open.get(name)
        return session if session is not None and at < session.ends_at else None

    def add(self, name: str, session: ProofSession, *, at: float) -> None:
        """Open a session; end expired ones, and the opener's least recently used ones past its limit."""
        with self._lock:
            self._make_room(session, at)
            self._open[name] = session

    def end(self, name: str) -> None:
        """End one; idempotent."""
        with self._lock:
            self._open.pop(name, None)

    def take(self, session: ProofSession, sequence: int, *, at: float) -> bool:
        """Use up a sequence number. Return whether it was unused."""
        with self._lock:
            fresh = session.window.accept(sequence)
        session.used_at = at
        return fresh

    def stand_by(self, directory: AgentDirectory) -> None:
        """End the sessions of agents and keys that are no longer in the registry in force."""
        if directory is self._directory:
            return
        with self._lock:
            self._directory = directory
            for name, session in list(self._open.items()):
                found = directory.by_key.get(session.thumbprint)
                is_its_own = session.enrolled or (found is not None and found[0].name == session.agent)
                if not is_its_own or session.agent not in directory.snapshot.agents:
                    del self._open[name]

    def _make_room(self, session: ProofSession, at: float) -> None:
        for name in [name for name, one in self._open.items() if one.ends_at <= at]:
            del self._open[name]
        if session.enrolled:
            own = [name for name, one in self._open.items() if one.thumbprint == session.thumbprint]
            room = SESSIONS_PER_INSTANCE_MAX
        else:
            own = [
                name for name, one in self._open.items() if one.agent == session.agent and not one.enrolled
            ]
            room = self._per_agent_max
        own.sort(key=lambda name: self._open[name].used_at)
        for name in own[: max(0, len(own) + 1 - room)]:
            del self._open[name]

"""How many refusals of one agent are written down one by one before it is held and only counted.

Laws: no agent can fill the disk with refusals; none is dropped silently, those past the quota are counted; an agent
past its quota is held until its window ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from answerable.core.identity.principal import AgentId, UnixMillis


@dataclass(slots=True, kw_only=True)
class _Window:
    started: UnixMillis
    recorded: int = 0
    counted: int = 0


class RefusalQuota:
    """recorded_max refusals per agent and window of window_ms milliseconds get an entry of their own."""

    __slots__ = ("_recorded_max", "_window_ms", "_windows")

    def __init__(self, *, recorded_max: int, window_ms: int) -> None:
        self._recorded_max = recorded_max
        self._window_ms = window_ms
        self._windows: dict[AgentId, _Window] = {}

    def is_held(self, agent: AgentId, now: UnixMillis) -> bool:
        """Whether the agent has used up its quota in the running window."""
        window = self._windows.get(agent)
        if window is None:
            return False
        return window.recorded >= self._recorded_max and now - window.started < self._window_ms

    def take(self, agent: AgentId, now: UnixMillis) -> bool:
        """Note one refusal; True when it gets an entry of its own, False when it was only counted."""
        window = self._windows.get(agent)
        if window is None:
            window = self._windows[agent] = _Window(started=now)
        elif now - window.started >= self._window_ms:
            window.started, window.recorded = now, 0
        if window.recorded >= self._recorded_max:
            window.counted += 1
            return False
        window.recorded += 1
        return True

    def drain_counted(self) -> dict[str, int]:
        """Counts since the last call, by agent, for an aggregate entry."""
        counted = {str(agent): window.counted for agent, window in self._windows.items() if window.counted}
        for window in self._windows.values():
            window.counted = 0
        return counted

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
    used: int = 0
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
        return window is not None and window.used >= self._recorded_max and self._runs(window, now)

    def take(self, agent: AgentId, now: UnixMillis) -> bool:
        """Note one refusal; True when it gets an entry of its own, False when it was only counted."""
        window = self._window(agent, now)
        if window.used >= self._recorded_max:
            window.counted += 1
            return False
        window.used += 1
        return True

    def note(self, agent: AgentId, now: UnixMillis) -> None:
        """A refusal that is told elsewhere; it uses up the quota like one that has its entry here."""
        self._window(agent, now).used += 1

    def forget(self, agent: AgentId) -> None:
        """Its refusals so far are done with; those that were only counted are still to be written down."""
        window = self._windows.get(agent)
        if window is not None:
            window.used = 0

    def lost(self, agent: AgentId) -> None:
        """A refusal that was to have an entry of its own did not get it: count it instead."""
        self._windows[agent].counted += 1

    def drain_counted(self, agents_max: int) -> dict[str, int]:
        """Counts since they were last drained, by agent, of so many agents, for an aggregate entry."""
        counted: dict[str, int] = {}
        for agent, window in self._windows.items():
            if window.counted and len(counted) < agents_max:
                counted[agent] = window.counted
                window.counted = 0
        return counted

    def restore_counted(self, counted: dict[str, int]) -> None:
        """Take back what was drained and could not be written down."""
        for agent, count in counted.items():
            self._windows[AgentId(agent)].counted += count

    def _window(self, agent: AgentId, now: UnixMillis) -> _Window:
        window = self._windows.get(agent)
        if window is None:
            window = self._windows[agent] = _Window(started=now)
        elif not self._runs(window, now):
            window.started, window.used = now, 0
        return window

    def _runs(self, window: _Window, now: UnixMillis) -> bool:
        # A wall clock that was set back must not hold anybody for years.
        window.started = min(window.started, now)
        return now - window.started < self._window_ms

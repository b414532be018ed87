"""How many refusals of one agent are written down one by one before it is held and only counted.

Laws: no agent can fill the disk with refusals; none is dropped silently, those past the quota are counted; an agent
past its quota is held until its window ends, under the one mandate that all of them were under where there is one, and
under all of them once as many more were under others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from answerable.core.identity.names.principal import AgentId, UnixMillis

if TYPE_CHECKING:
    from collections.abc import Callable


class Flooding(NamedTuple):
    """An agent is past its quota from now on. mandate: the only one it is held under; empty for all."""

    mandate: str
    until: UnixMillis


@dataclass(slots=True, kw_only=True)
class _Window:
    """mandate: the one that all refusals were under so far; None before the first, empty for more than one. others:
    refusals under other ones, once the quota was used up under that one."""

    started: UnixMillis
    used: int = 0
    counted: int = 0
    mandate: str | None = None
    others: int = 0
    told: set[str] = field(default_factory=set)


def _nobody_waits(_agent: AgentId) -> None:
    """For who asks each time."""


class RefusalQuota:
    """recorded_max refusals per agent and window of window_ms milliseconds get an entry of their own. changed: told of
    an agent whose quota is used up from now on, for more than before, or is whole again."""

    __slots__ = ("_changed", "_recorded_max", "_window_ms", "_windows")

    def __init__(
        self, *, recorded_max: int, window_ms: int, changed: Callable[[AgentId], None] = _nobody_waits
    ) -> None:
        self._recorded_max = recorded_max
        self._window_ms = window_ms
        self._changed = changed
        self._windows: dict[AgentId, _Window] = {}

    def is_held(self, agent: AgentId, now: UnixMillis, mandate: str = "") -> bool:
        """Whether the agent has used up its quota in the running window, for all that it does or under this mandate."""
        window = self._past(agent, now)
        return window is not None and (not window.mandate or window.mandate == mandate)

    def is_flooding(self, agent: AgentId, now: UnixMillis) -> bool:
        """Whether it has, under whichever mandate."""
        return self._past(agent, now) is not None

    def take(self, agent: AgentId, now: UnixMillis, mandate: str = "") -> bool:
        """Note one refusal; True when it gets an entry of its own, False when it was only counted. mandate: that it was
        under, where the agent has it."""
        window = self._window(agent, now)
        if window.used >= self._recorded_max:
            window.counted += 1
            if window.mandate and mandate != window.mandate:
                window.others += 1
                if window.others >= self._recorded_max:
                    window.mandate = ""
                    self._changed(agent)
            return False
        self._use(agent, window, mandate)
        return True

    def note(self, agent: AgentId, now: UnixMillis) -> None:
        """A refusal that is told elsewhere; it uses up the quota like one that has its entry here."""
        self._use(agent, self._window(agent, now), "")

    def begun(self, agent: AgentId, now: UnixMillis) -> Flooding | None:
        """Once for each: the agent is held from now on, by itself or under a mandate."""
        window = self._past(agent, now)
        mandate = window.mandate or "" if window is not None else ""
        if window is None or mandate in window.told:
            return None
        window.told.add(mandate)
        return Flooding(mandate, UnixMillis(window.started + self._window_ms))

    def forget(self, agent: AgentId) -> None:
        """Its refusals so far are done with; those that were only counted are still to be written down."""
        window = self._windows.get(agent)
        if window is not None:
            self._windows[agent] = _Window(started=window.started, counted=window.counted)
            self._changed(agent)

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

    def _use(self, agent: AgentId, window: _Window, mandate: str) -> None:
        was, under = window.used >= self._recorded_max, window.mandate
        window.used += 1
        window.mandate = mandate if window.mandate in (None, mandate) else ""
        if window.used >= self._recorded_max and (not was or window.mandate != under):
            self._changed(agent)

    def _past(self, agent: AgentId, now: UnixMillis) -> _Window | None:
        window = self._windows.get(agent)
        past = window is not None and window.used >= self._recorded_max and self._runs(window, now)
        return window if past else None

    def _window(self, agent: AgentId, now: UnixMillis) -> _Window:
        window = self._windows.get(agent)
        if window is None:
            window = self._windows[agent] = _Window(started=now)
        elif not self._runs(window, now):
            # What was only counted and is not written down yet stays.
            window = self._windows[agent] = _Window(started=now, counted=window.counted)
        return window

    def _runs(self, window: _Window, now: UnixMillis) -> bool:
        # A wall clock that was set back must not hold anybody for years.
        window.started = min(window.started, now)
        return now - window.started < self._window_ms

"""Limit how many refusals of one agent get a ledger entry of their own, before the agent is put on hold and its
refusals are only counted.

Laws: no agent can fill the disk with refusals; no refusal is dropped silently: those beyond the quota are counted; an
agent beyond its quota is on hold until its window ends: under one mandate only, if all its refusals were under that
mandate, and under all mandates once as many more refusals were under others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from answerable.core.identity.names.principal import AgentId, UnixMillis

if TYPE_CHECKING:
    from collections.abc import Callable


class Flooding(NamedTuple):
    """An agent's hold that begins now. mandate: the only mandate it is held under; empty for all. until: end of the
    hold."""

    mandate: str
    until: UnixMillis


@dataclass(slots=True, kw_only=True)
class _Window:
    """Refusals of one agent in one window. mandate: the mandate of all refusals so far; None before the first, empty
    for several mandates. others: refusals under other mandates, counted once the quota was used up under one mandate.
    """

    started: UnixMillis
    used: int = 0
    counted: int = 0
    mandate: str | None = None
    others: int = 0
    told: set[str] = field(default_factory=set)


def _nobody_waits(_agent: AgentId) -> None:
    """Default for callers that poll."""


class RefusalQuota:
    """The refusal quota of each agent: `recorded_max` refusals in a window of `window_ms` milliseconds get an entry of
    their own. changed: called with an agent when its quota is used up, is used up for more mandates, or is reset."""

    __slots__ = ("_changed", "_recorded_max", "_window_ms", "_windows")

    def __init__(
        self, *, recorded_max: int, window_ms: int, changed: Callable[[AgentId], None] = _nobody_waits
    ) -> None:
        self._recorded_max = recorded_max
        self._window_ms = window_ms
        self._changed = changed
        self._windows: dict[AgentId, _Window] = {}

    def is_held(self, agent: AgentId, now: UnixMillis, mandate: str = "") -> bool:
        """Whether the agent has used up its quota in the current window, for all mandates or under this one."""
        window = self._past(agent, now)
        return window is not None and (not window.mandate or window.mandate == mandate)

    def is_flooding(self, agent: AgentId, now: UnixMillis) -> bool:
        """Whether the agent has used up its quota in the current window, under any mandate."""
        return self._past(agent, now) is not None

    def take(self, agent: AgentId, now: UnixMillis, mandate: str = "") -> bool:
        """Record one refusal. Return True if it gets an entry of its own, False if it is only counted. mandate: the
        mandate it was under, if the agent holds it."""
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
        """Use up the quota by a refusal whose entry is written by another component."""
        self._use(agent, self._window(agent, now), "")

    def begun(self, agent: AgentId, now: UnixMillis) -> Flooding | None:
        """Return the hold that begins, once for each: for the agent as a whole, or under a mandate. None if none
        begins."""
        window = self._past(agent, now)
        mandate = window.mandate or "" if window is not None else ""
        if window is None or mandate in window.told:
            return None
        window.told.add(mandate)
        return Flooding(mandate, UnixMillis(window.started + self._window_ms))

    def forget(self, agent: AgentId) -> None:
        """Reset the agent's quota; refusals that were only counted remain to be recorded."""
        window = self._windows.get(agent)
        if window is not None:
            self._windows[agent] = _Window(started=window.started, counted=window.counted)
            self._changed(agent)

    def lost(self, agent: AgentId) -> None:
        """Count a refusal whose own entry could not be written."""
        self._windows[agent].counted += 1

    def drain_counted(self, agents_max: int) -> dict[str, int]:
        """Return the counts since the last call, by agent, for at most `agents_max` agents, for an aggregate entry."""
        counted: dict[str, int] = {}
        for agent, window in self._windows.items():
            if window.counted and len(counted) < agents_max:
                counted[agent] = window.counted
                window.counted = 0
        return counted

    def restore_counted(self, counted: dict[str, int]) -> None:
        """Add counts again that were drained and could not be recorded."""
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
            # Keep counts that are not recorded yet.
            window = self._windows[agent] = _Window(started=now, counted=window.counted)
        return window

    def _runs(self, window: _Window, now: UnixMillis) -> bool:
        # A wall clock that was set back must not extend a hold for years.
        window.started = min(window.started, now)
        return now - window.started < self._window_ms

"""Uses of agents in memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from answerable.ports.agent_uses import DAYS_KEPT, LogRead

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from answerable.core.identity.principal import AgentId, UnixMillis


class MemoryAgentUses:
    """Port AgentUses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._logs: dict[str, LogRead] = {}
        self._last: dict[AgentId, UnixMillis] = {}
        self._days: frozenset[int] = frozenset()

    def keep(
        self,
        log: str,
        *,
        read_to: int,
        window: int,
        used: Mapping[AgentId, UnixMillis],
        days: Collection[int],
    ) -> None:
        """As the port says."""
        with self._lock:
            before = self._logs.get(log, LogRead(read_to=0, window=0, told=0))
            self._logs[log] = LogRead(
                read_to=max(before.read_to, read_to),
                window=max(before.window, window),
                told=before.told + 1,
            )
            for agent, at in used.items():
                self._last[agent] = max(at, self._last.get(agent, at))
            self._days = frozenset(sorted({*self._days, *days})[-DAYS_KEPT:])

    def logs(self) -> Mapping[str, LogRead]:
        """As the port says."""
        with self._lock:
            return dict(self._logs)

    def last(self) -> Mapping[AgentId, UnixMillis]:
        """As the port says."""
        with self._lock:
            return dict(self._last)

    def days(self) -> frozenset[int]:
        """As the port says."""
        return self._days

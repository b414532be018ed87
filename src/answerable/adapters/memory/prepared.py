"""What was prepared, for as long as the process lives."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from answerable.core.action.prepared import KEPT_MS, NO_CONTENT
from answerable.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.action.prepared import Prepared
    from answerable.core.identity.principal import AgentId, UnixMillis


class MemoryPreparedRegister:
    """Implements ports.prepared_register.PreparedRegister."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, Prepared] = {}

    def add(self, prepared: Prepared, *, waiting_max: int) -> bool:
        """As the port says."""
        with self._lock:
            if prepared.id in self._kept:
                raise Malformed("an object of this id is kept already", code="prepared.duplicate")
            if self._waiting(prepared.agent, prepared.made_at) >= waiting_max:
                return False
            long_ago = prepared.made_at - KEPT_MS
            self._kept = {name: one for name, one in self._kept.items() if one.expires_at >= long_ago}
            self._kept[prepared.id] = prepared
            return True

    def get(self, identity: str) -> Prepared | None:
        """As the port says."""
        with self._lock:
            return self._kept.get(identity)

    def named(self, agent: AgentId, digest: str) -> Sequence[Prepared]:
        """As the port says."""
        with self._lock:
            found = [one for one in self._kept.values() if one.agent == agent and one.digest == digest]
        return found[::-1]

    def waiting(self, agent: AgentId, now: UnixMillis) -> int:
        """As the port says."""
        with self._lock:
            return self._waiting(agent, now)

    def use(self, identity: str, *, by: str, now: UnixMillis) -> bool:
        """As the port says."""
        with self._lock:
            found = self._kept.get(identity)
            if found is None or not found.waits(now):
                return False
            self._kept[identity] = replace(found, used_by=by, content=NO_CONTENT)
            return True

    def _waiting(self, agent: AgentId, now: UnixMillis) -> int:
        return sum(one.agent == agent and one.waits(now) for one in self._kept.values())

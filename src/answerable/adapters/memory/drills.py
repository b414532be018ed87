"""Drills, for as long as the process lives."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from answerable.core.containment.drill import Drill, Drilled, DrillId


class MemoryDrillRegister:
    """Port DrillRegister."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._drills: dict[DrillId, Drill] = {}

    def put(self, drills: Collection[Drill]) -> int:
        """As the port says."""
        with self._lock:
            new = {one.id: one for one in drills if one.id not in self._drills}
            self._drills.update(new)
        return len(new)

    def of(self, what: Drilled) -> Sequence[Drill]:
        """As the port says."""
        return tuple(one for one in self.all() if one.what == what)

    def all(self) -> Sequence[Drill]:
        """As the port says."""
        with self._lock:
            return tuple(reversed(self._drills.values()))

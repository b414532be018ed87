"""Sightings in memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from answerable.core.registry.sighting import SIGHTINGS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.registry.sighting import Sighting, SightingKind


class MemorySightings:
    """Port Sightings."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[tuple[SightingKind, str], Sighting] = {}

    def keep(self, seen: Iterable[Sighting]) -> None:
        """As the port says."""
        with self._lock:
            for one in seen:
                earlier = self._seen.get((one.kind, one.name))
                self._seen[one.kind, one.name] = one if earlier is None else earlier.and_then(one)
            newest_first = sorted(self._seen.values(), key=lambda one: one.last, reverse=True)
            self._seen = {(one.kind, one.name): one for one in newest_first[:SIGHTINGS_MAX]}

    def all(self) -> Iterable[Sighting]:
        """As the port says."""
        return tuple(sorted(self._seen.values(), key=lambda one: one.last, reverse=True))

    def forget(self, kind: SightingKind, name: str) -> bool:
        """As the port says."""
        with self._lock:
            return self._seen.pop((kind, name), None) is not None

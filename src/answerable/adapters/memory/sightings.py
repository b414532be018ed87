"""Sightings in memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from answerable.core.registry.sighting import OTHERS, SIGHTINGS_MAX, SOURCE_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.registry.sighting import Place, Sighting, SightingKind


class MemorySightings:
    """Port Sightings."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[Place, Sighting] = {}

    def keep(self, seen: Iterable[Sighting], *, gone: Iterable[tuple[SightingKind, str]] = ()) -> None:
        """As the port says."""
        left = frozenset(gone)
        with self._lock:
            self._seen = {place: one for place, one in self._seen.items() if place[:2] not in left}
            for one in seen:
                self._merge(one)
            for source in {place[2] for place in self._seen}:
                self._bound(source)
            ranked = sorted(self._ranked(), key=lambda ranked: (ranked[0], -ranked[1].last))
            self._seen = {one.place: one for _, one in ranked[:SIGHTINGS_MAX]}

    def all(self) -> Iterable[Sighting]:
        """As the port says."""
        return tuple(sorted(self._seen.values(), key=lambda one: one.last, reverse=True))

    def forget_source(self, source: str) -> None:
        """As the port says."""
        with self._lock:
            self._seen = {place: one for place, one in self._seen.items() if place[2] != source}

    def _merge(self, one: Sighting) -> None:
        earlier = self._seen.get(one.place)
        self._seen[one.place] = one if earlier is None else earlier.and_then(one)

    def _bound(self, source: str) -> None:
        mine = [one for one in self._seen.values() if one.source == source and one.name != OTHERS]
        mine.sort(key=lambda one: one.last, reverse=True)
        for one in mine[SOURCE_MAX:]:
            del self._seen[one.place]
            self._merge(one.as_other())

    def _ranked(self) -> Iterable[tuple[int, Sighting]]:
        counts: dict[str, int] = {}
        for one in self.all():
            counts[one.source] = counts.get(one.source, 0) + 1
            yield counts[one.source], one

"""Port: the inventory of what was seen and is not registered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.registry.sighting import Sighting, SightingKind


class Sightings(Protocol):
    """Promises: what `keep` merged is on stable storage when it returns; of more than `SIGHTINGS_MAX` those that were
    seen longest ago are gone. Raises only Unavailable (`register.*`).
    """

    def keep(self, seen: Iterable[Sighting]) -> None:
        """Merge a batch: earliest first, latest last, counts added. One write."""
        ...

    def all(self) -> Iterable[Sighting]:
        """Those seen last first."""
        ...

    def forget(self, kind: SightingKind, name: str) -> bool:
        """Drop one, because it is registered now or not wanted; tells whether it was there."""
        ...

"""Port: the inventory of what was seen and is not registered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.registry.snapshot.discovered_asset import Sighting, SightingKind


class Sightings(Protocol):
    """Promises: what `keep` merged is on stable storage when it returns. Of more than `SOURCE_MAX` of one source those
    that were seen longest ago are gone, and counted under the empty name; of more than `SIGHTINGS_MAX` in all, those of
    the sources that have most. Raises only Unavailable (`register.*`).
    """

    def keep(self, seen: Iterable[Sighting], *, gone: Iterable[tuple[SightingKind, str]] = ()) -> None:
        """Merge a batch: earliest first, latest last, counts added, the rest as it was seen last. gone: kind and name
        of what is registered now, from whatever source, dropped before. One write."""
        ...

    def all(self) -> Iterable[Sighting]:
        """Those seen last first."""
        ...

    def forget_source(self, source: str) -> None:
        """Drop all that one source caused, because it tells anew."""
        ...

"""Port: the inventory of unregistered agents, tools and servers that were observed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.registry.snapshot.discovered_asset import Sighting, SightingKind


class Sightings(Protocol):
    """Promises: what `keep` merged is on stable storage when it returns. Past `SOURCE_MAX` entries of one source, the
    least recently seen are removed and counted under the empty name; past `SIGHTINGS_MAX` in total, entries of the
    largest sources are. Raises only Unavailable (`register.*`)."""

    def keep(self, seen: Iterable[Sighting], *, gone: Iterable[tuple[SightingKind, str]] = ()) -> None:
        """Merge a batch: the earliest first sighting, the latest last sighting, the sum of the counts, all else from
        the latest. gone: kind and name of what is registered now, removed first, from every source. One write."""
        ...

    def all(self) -> Iterable[Sighting]:
        """Return all sightings, most recently seen first."""
        ...

    def forget_source(self, source: str) -> None:
        """Remove all sightings of one source, because it reports from the start again."""
        ...

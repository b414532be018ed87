"""Inventory of discovered assets: agents, servers and tools that were observed but are not registered.

Laws: recording costs no I/O and bounded memory, so unauthenticated callers can cause neither; each source has its own
allowance, so that no source displaces the sightings of another, however many names it makes up; sightings beyond the
allowance are counted under the empty name, which nothing else has; of one source, the latest sightings stay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.workload.evidence import Grade

SightingKind = Literal["agent", "server", "tool"]
SIGHTINGS_MAX: Final = 10_000
"""Most sightings stored in all; beyond that the sources with the most sightings lose their oldest."""
SOURCE_MAX: Final = 500
"""Most names stored for one source; further ones are counted."""
BATCH_MAX: Final = 2_000
"""Most different sightings between two writes."""
BATCH_SOURCE_MAX: Final = 50
"""Most different sightings of one source between two writes."""
NAME_CHARS_MAX: Final = 256
COUNT_MAX: Final = 2**53 - 1
OTHERS: Final = ""
"""Name under which sightings beyond the allowance are counted."""
NAMELESS: Final = "?"

Place = tuple[SightingKind, str, str]
"""Kind, name and source: what identifies one asset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Observations of one asset. name: SPIFFE ID or selectors of an agent, name of a server, or `server/tool`; empty
    for sightings beyond the allowance. source: the cause of the sighting: `agent NAME` that requested the asset,
    `server NAME` that offers it, `user UID` that runs it, and so on. grade: how reliable the sighting is. how: short
    description. direct: a client is configured to reach the asset without the gateway, where nothing can be refused.
    first, last: times. count: number of sightings."""

    kind: SightingKind
    name: str
    first: UnixMillis
    last: UnixMillis
    source: str
    grade: Grade
    how: str = ""
    direct: bool = False
    count: int = 1

    @property
    def place(self) -> Place:
        """The identity of the asset."""
        return (self.kind, self.name, self.source)

    def and_then(self, later: Sighting) -> Sighting:
        """Merge both into one."""
        newer = later if later.last >= self.last else self
        return replace(
            newer,
            first=min(self.first, later.first),
            last=max(self.last, later.last),
            count=min(COUNT_MAX, self.count + later.count),
        )

    def as_other(self) -> Sighting:
        """Return the sighting without its name, to be counted only."""
        return replace(self, name=OTHERS, how="", direct=False)


def printable(name: str) -> str:
    """Return a foreign name in its stored form: truncated, without unprintable characters, and never empty."""
    cut = "".join(sign if sign.isprintable() else "?" for sign in name[:NAME_CHARS_MAX])
    return cut or NAMELESS


class DiscoveredAssets:
    """Sightings since the last write. If several threads record at the same instant, a count may be lost, nothing else:
    the counts decide nothing, and a lock would be contended by unauthenticated messages."""

    __slots__ = ("_gone", "_named", "_seen")

    def __init__(self) -> None:
        self._seen: dict[Place, Sighting] = {}
        self._named: dict[str, int] = {}
        self._gone: dict[tuple[SightingKind, str], None] = {}

    def note(
        self,
        kind: SightingKind,
        name: str,
        at: UnixMillis,
        *,
        source: str,
        grade: Grade,
        how: str = "",
        direct: bool = False,
    ) -> None:
        """Record a sighting of something unregistered. Never raises; a name is stored as `printable` returns it."""
        self._add(
            Sighting(
                kind=kind,
                name=printable(name),
                first=at,
                last=at,
                source=printable(source),
                grade=grade,
                how=how[:NAME_CHARS_MAX],
                direct=direct,
            )
        )

    def leave(self, kind: SightingKind, name: str) -> None:
        """Record that an asset is registered now. Never raises; beyond BATCH_MAX it is recorded at the next
        occasion."""
        if len(self._gone) < BATCH_MAX:
            self._gone[kind, printable(name)] = None

    def take(self) -> tuple[Sighting, ...]:
        """Return everything recorded so far, and remove it from this object."""
        seen, self._seen, self._named = self._seen, {}, {}
        return tuple(seen.values())

    def take_gone(self) -> tuple[tuple[SightingKind, str], ...]:
        """Return the assets that are registered now, and remove them from this object."""
        gone, self._gone = self._gone, {}
        return tuple(gone)

    def put_back(self, sightings: Iterable[Sighting]) -> None:
        """Queue sightings again that could not be written."""
        for one in sightings:
            self._add(one)

    def _add(self, discovered_asset: Sighting) -> None:
        seen = self._seen
        earlier = seen.get(discovered_asset.place)
        if earlier is None and discovered_asset.name != OTHERS:
            named = self._named.get(discovered_asset.source, 0)
            if named < BATCH_SOURCE_MAX and len(seen) < BATCH_MAX:
                self._named[discovered_asset.source] = named + 1
            else:
                discovered_asset = discovered_asset.as_other()
                earlier = seen.get(discovered_asset.place)
        if earlier is None and len(seen) >= 2 * BATCH_MAX:
            # There are so many sources that even their counts exceed the bound.
            return
        seen[discovered_asset.place] = (
            discovered_asset if earlier is None else earlier.and_then(discovered_asset)
        )

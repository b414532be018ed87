"""What was seen at work and is not registered: agents, servers and tools that nobody answers for yet.

Laws: noting costs no I/O and bounded memory, so strangers can cause none; whoever causes sightings has room of its own,
so that nobody drives out what others caused, however many names it makes up; what there is no room for is counted,
under the empty name, which nothing else has; of what one source caused, what was seen last stays.
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
"""Kept in all; past it the sources that have most give up what they caused longest ago."""
SOURCE_MAX: Final = 500
"""Names kept of one source; what is past them is counted."""
BATCH_MAX: Final = 2_000
"""Different ones noted between two writes."""
BATCH_SOURCE_MAX: Final = 50
"""Of one source."""
NAME_CHARS_MAX: Final = 256
COUNT_MAX: Final = 2**53 - 1
OTHERS: Final = ""
"""Name of what there was no room for."""
NAMELESS: Final = "?"

Place = tuple[SightingKind, str, str]
"""Kind, name, source: what is one thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """name: SPIFFE ID or selectors of an agent, name of a server, or `server/tool`; empty for all that there was no
    room for. source: who caused it: `agent NAME` that asked for it, `server NAME` that offers it, `user UID` whose
    process it is, and so on. grade: how well it is known that it is there. how: in a few words. direct: a client is set
    up to reach it past the gateway, where we refuse nothing. first, last: when. count: in all.
    """

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
        """What it is a sighting of."""
        return (self.kind, self.name, self.source)

    def and_then(self, later: Sighting) -> Sighting:
        """Both in one."""
        newer = later if later.last >= self.last else self
        return replace(
            newer,
            first=min(self.first, later.first),
            last=max(self.last, later.last),
            count=min(COUNT_MAX, self.count + later.count),
        )

    def as_other(self) -> Sighting:
        """The same without its name, to be counted only."""
        return replace(self, name=OTHERS, how="", direct=False)


def printable(name: str) -> str:
    """A name that somebody chose, as it is kept: cut, without what is not printable, and never empty."""
    cut = "".join(sign if sign.isprintable() else "?" for sign in name[:NAME_CHARS_MAX])
    return cut or NAMELESS


class DiscoveredAssets:
    """What was seen since the last write. Of what several threads note at the same instant a count may be lost, nothing
    else: what is counted here decides nothing, and a lock would be asked for with messages of strangers."""

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
        """Something unregistered was seen. Never raises; a name is kept as `printable` says."""
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
        """It is registered now. Never raises; past BATCH_MAX the next time tells."""
        if len(self._gone) < BATCH_MAX:
            self._gone[kind, printable(name)] = None

    def take(self) -> tuple[Sighting, ...]:
        """Everything noted so far, which is forgotten here."""
        seen, self._seen, self._named = self._seen, {}, {}
        return tuple(seen.values())

    def take_gone(self) -> tuple[tuple[SightingKind, str], ...]:
        """What has left, which is forgotten here."""
        gone, self._gone = self._gone, {}
        return tuple(gone)

    def put_back(self, sightings: Iterable[Sighting]) -> None:
        """What could not be written waits for the next time."""
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
            # So many sources that even their counts are too many.
            return
        seen[discovered_asset.place] = (
            discovered_asset if earlier is None else earlier.and_then(discovered_asset)
        )

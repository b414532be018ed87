"""What was seen at work and is not registered: agents, servers and tools that nobody answers for yet.

Laws: noting costs no I/O and bounded memory, so strangers can cause none; what is seen oftenest is not what stays, but
what was seen last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.identity.principal import UnixMillis

SightingKind = Literal["agent", "server", "tool"]
SIGHTINGS_MAX: Final = 10_000
"""Kept in all; past it those that were seen longest ago go."""
BATCH_MAX: Final = 1_000
"""Different ones noted between two writes."""
NAME_CHARS_MAX: Final = 256
COUNT_MAX: Final = 2**53 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """name: SPIFFE ID or selector of an agent, name of a server, or `server/tool`. first, last: when. count: in all."""

    kind: SightingKind
    name: str
    first: UnixMillis
    last: UnixMillis
    count: int = 1

    def and_then(self, later: Sighting) -> Sighting:
        """Both in one."""
        return replace(
            self,
            first=min(self.first, later.first),
            last=max(self.last, later.last),
            count=min(COUNT_MAX, self.count + later.count),
        )


class SightingBatch:
    """What was seen since the last write. Of what several threads note at the same instant a count may be lost, nothing
    else: what is counted here decides nothing, and a lock would be asked for with messages of strangers."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[tuple[SightingKind, str], Sighting] = {}

    def note(self, kind: SightingKind, name: str, at: UnixMillis) -> None:
        """Something unregistered was seen. Never raises; a name is cut, and loses what is not printable."""
        cut = "".join(sign if sign.isprintable() else "?" for sign in name[:NAME_CHARS_MAX])
        self._add(Sighting(kind=kind, name=cut, first=at, last=at))

    def take(self) -> tuple[Sighting, ...]:
        """Everything noted so far, which is forgotten here."""
        seen, self._seen = self._seen, {}
        return tuple(seen.values())

    def put_back(self, sightings: Iterable[Sighting]) -> None:
        """What could not be written waits for the next time."""
        for one in sightings:
            self._add(one)

    def _add(self, sighting: Sighting) -> None:
        seen, place = self._seen, (sighting.kind, sighting.name)
        earlier = seen.pop(place, None)
        seen[place] = sighting if earlier is None else earlier.and_then(sighting)
        if len(seen) > BATCH_MAX:
            # One call, so that nobody adds to it meanwhile.
            for oldest in tuple(seen)[:1]:
                seen.pop(oldest, None)

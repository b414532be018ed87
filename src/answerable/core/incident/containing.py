"""When an incident was contained: what did what ran in it was stopped, and nothing has run after that.

Laws: a stop counts for an action only if it is of a name that the action has, or of all that the incident is about, and
came after the action; of an incident that covers names, it must be of one of these. An action without such a stop
leaves the incident open, whatever else was stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.incident.incident import Incident

HOLD: Final = "hold"
STOPPABLE: Final = ("agent", "instance", "mandate", "server", "capability", "key", "manifest", "person")
"""Fields of a search by whose values an action can be stopped."""


class Stop(NamedTuple):
    """What ended authority: a hold, a revocation, the end of a mandate or instance. hold: id of a hold; else empty."""

    kind: str
    name: str
    hold: str

    @property
    def field(self) -> str:
        """The field of a search that has the name."""
        return "person" if self.kind == "owner" else self.kind


class At(NamedTuple):
    """A place in the ledger of one or of several shards. at: Unix milliseconds."""

    at: int
    shard: str
    entry: int

    def is_after(self, other: At) -> bool:
        """Whether it came later; entries of two logs have only their times."""
        if self.shard == other.shard:
            return (self.at, self.entry) > (other.at, other.entry)
        return self.at > other.at


class Acted(NamedTuple):
    """An action of an incident. ran: whether it had an effect, or may have. names: by field, of `STOPPABLE`."""

    place: At
    ran: bool
    names: Mapping[str, Sequence[str]]


class Containment(NamedTuple):
    """at: the stop that contained it; None for none. left: actions that nothing has stopped since. stops: whether
    anything was stopped at all."""

    at: At | None
    left: Sequence[At]
    stops: bool


def stop_of(leaf: Mapping[str, JSONValue]) -> Stop:
    """Return what the entry of a stop says."""
    kind = str(leaf.get("kind", "mandate" if "mandate" in leaf else "instance"))
    return Stop(kind, str(leaf.get("name", leaf.get(kind))), str(leaf.get(HOLD, "")))


def is_whole(incident: Incident, stop: Stop) -> bool:
    """Whether a stop is of all that an incident is about, by what it is about alone."""
    if stop.kind == "everything" or (incident.kind, incident.name) == (stop.kind, stop.name):
        return True
    if stop.hold and (
        stop.hold in incident.covers.get(HOLD, ()) or (incident.kind, incident.name) == (HOLD, stop.hold)
    ):
        return True
    names = [(field, one) for field, of in incident.covers.items() for one in of if field != HOLD]
    return names == [(stop.field, stop.name)]


def containment(incident: Incident, acted: Iterable[Acted], stops: Iterable[tuple[At, Stop]]) -> Containment:
    """Return when an incident was contained. Where nothing ran, the attempts count, whenever they were made."""
    every = [*acted]
    ran = [one for one in every if one.ran]
    left, is_any = ran or every, False
    for place, stop in sorted(stops):
        whole = is_whole(incident, stop)
        before = len(left)
        left = [
            one
            for one in left
            if not ((whole or _has(incident, one, stop)) and (not ran or place.is_after(one.place)))
        ]
        is_any = is_any or whole or len(left) < before
        if not left and is_any:
            return Containment(place, (), stops=True)
    return Containment(None, [one.place for one in left], stops=is_any)


def _has(incident: Incident, one: Acted, stop: Stop) -> bool:
    """Whether an action has the name of a stop, which the incident covers where it covers any."""
    if incident.covers and stop.name not in incident.covers.get(stop.field, ()):
        return False
    return stop.name in one.names.get(stop.field, ())

"""What happened before, as far as trackers declared that they look at it: numbers by agent and by mandate, in memory.

Events are folded in the order in which their entries get their places in the log, so that whoever reads the log finds
the same numbers. An action counts as `started` from its reservation on, and no more if it gets no place.

Laws: what is given out to be kept covers all entries below one index and none above; nothing that a caller opens anew
makes a number smaller; what may be missing makes a value unknown, never smaller; for one owner nothing grows without
bound.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from answerable.core.decision.counter import Counter, needs_fields, tracker_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from answerable.core.decision.counter import Event, Unknown
    from answerable.core.decision.tally import Kept
    from answerable.core.registry.documents.policy_parts import Tracker

UNKEPT_ENTRIES_MAX: Final = 65_536
"""After so many entries a state is kept although nothing was counted in them, so that no start reads them again."""
HITS_KEPT_MAX: Final = 4_096

Place: TypeAlias = "tuple[str, str, str]"
"""Digest of the tracker, owner, and key of the resource."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownHistory:
    """A tracker whose value is not known, and why."""

    tracker: str
    because: Unknown

    def text(self) -> str:
        """As whoever asked may be told."""
        return f"the history `{self.tracker}` is not known: {_BECAUSE[self.because]}"


_BECAUSE: Final[dict[Unknown, str]] = {
    "fields": "entries that count for it can no longer be read; it is known again once they are out of its window",
    "resources": "more resources were used than are kept; it is known again once they are out of its window",
    "unread": "what happened before it was declared is being read; try again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryState:
    """What can be kept: all entries below `entries` are in it. trackers: digests of all that there are; fresh: those of
    them of which nothing counts that was kept before. places: only those that changed; None for one that is no more."""

    entries: int
    trackers: frozenset[str]
    fresh: frozenset[str]
    places: Mapping[Place, Kept | None]


@dataclass(slots=True, kw_only=True)
class ReadingBack:
    """Trackers that are new. What happens from now on waits in `later` until what was before is read.

    before: all events of entries below this index happened before.
    """

    history: History
    before: int
    later: list[Event] = field(default_factory=list)


class History:
    """Not safe for several threads by itself; nothing here waits."""

    def __init__(self, trackers: Iterable[Tracker] = ()) -> None:
        """trackers: of which nothing has happened, or nothing that is not folded."""
        self._counters = tuple(Counter(tracker) for tracker in trackers)
        self.entries = 0
        self._ahead: list[Event] = []
        self._reading: list[ReadingBack] = []
        self._hits: dict[tuple[object, ...], tuple[tuple[Counter, tuple[int, ...] | None], ...]] = {}
        self._waiting: HistoryState | None = None
        self._kept_to = 0

    @property
    def counters(self) -> tuple[Counter, ...]:
        """Those in force, to ask for one owner each."""
        return self._counters

    @property
    def is_counting(self) -> bool:
        """Whether anybody wants to be told of events."""
        return bool(self._counters or self._reading)

    @property
    def trackers(self) -> tuple[Tracker, ...]:
        """Those in force."""
        return tuple(counter.tracker for counter in self._counters)

    @property
    def is_read(self) -> bool:
        """Whether all of them know what happened before they were declared."""
        return all(counter.is_read for counter in self._counters)

    @property
    def needs_fields(self) -> bool:
        """Whether sealed fields must be read to fold what the log says."""
        return needs_fields(self.trackers)

    def values(self, *, agent: str, mandate: str, resource: str, now: int) -> dict[str, int] | UnknownHistory:
        """The value of each tracker by name, for an action on this resource, or the first that is not known."""
        found: dict[str, int] = {}
        for counter in self._counters:
            value = counter.value(agent, mandate, resource, now)
            if isinstance(value, str):
                return UnknownHistory(tracker=counter.name, because=value)
            found[counter.name] = value
        return found

    def begin(self, event: Event) -> None:
        """An action is reserved: it counts, whether its intent has a place in the log by now or not."""
        self._ahead.append(event)
        for counter, steps in self._hit(event):
            counter.reach(event, steps or ())

    def withdraw(self, event: Event) -> None:
        """The intent of what was begun gets no place. Doing it twice changes nothing."""
        for index, one in enumerate(self._ahead):
            if one is event:
                del self._ahead[index]
                for counter, _ in self._hit(event):
                    counter.withdraw(event)
                return

    def placed(self, event: Event | None, index: int) -> None:
        """An entry has its place in the log. Called in the order of the places; event: None for one that says none."""
        self.entries = index + 1
        if event is not None:
            if self._ahead:
                self.withdraw(event)
            self.happened(event)

    def happened(self, event: Event) -> None:
        """Fold an event, of the entry after those folded before or of no entry."""
        for reading in self._reading:
            reading.later.append(event)
        for counter, steps in self._hit(event):
            counter.fold(event, steps)

    def missing(self, trackers: Iterable[Tracker]) -> tuple[Tracker, ...]:
        """Those of which what happened before is not folded here."""
        read = {counter.digest for counter in self._counters if counter.is_read}
        return tuple(one for one in trackers if tracker_digest(one) not in read)

    def read_back(self, trackers: Iterable[Tracker]) -> ReadingBack:
        """From here on what happens is kept for these, too, until they are adopted or let go."""
        reading = ReadingBack(history=History(trackers), before=self.entries)
        self._reading.append(reading)
        return reading

    def let_go(self, reading: ReadingBack) -> None:
        """Nobody wants these any more."""
        self._reading = [one for one in self._reading if one is not reading]

    def adopt(self, trackers: Sequence[Tracker], *read: History | ReadingBack) -> None:
        """From here on these are in force, and no others. read: where those are that are not here already; one that is
        nowhere has no value until it is adopted again."""
        counters = {counter.digest: counter for counter in self._counters}
        for one in read:
            if isinstance(one, ReadingBack):
                for event in one.later:
                    one.history.happened(event)
                self.let_go(one)
                one = one.history
            counters.update((counter.digest, counter) for counter in one._counters)
        before = set(self._counters)
        self._counters = tuple(counters.get(tracker_digest(one)) or _unread(one) for one in trackers)
        self._hits = {}
        for counter in self._counters:
            if counter not in before:
                if counter.is_fresh:
                    counter.changed.update((owner, key) for owner, key, _ in counter.all())
                for event in self._ahead:
                    if steps := counter.steps(event):
                        counter.reach(event, steps)
        if self._waiting is not None:
            self._take_up(self._waiting)
            self._waiting = None

    def restored(self, digest: str, places: Iterable[tuple[str, str, Kept]]) -> bool:
        """At a start: all that was kept of a tracker here. False where it cannot be of that tracker."""
        [counter] = [one for one in self._counters if one.digest == digest]
        counter.is_fresh = False
        return all(counter.put(owner, key, kept) for owner, key, kept in places)

    def until(self, now: int) -> None:
        """At a start: nothing that is counted is from after this time."""
        for counter in self._counters:
            counter.until(now)

    def forget_mandates(self, ended: Callable[[str], bool]) -> None:
        """Of mandates under which nothing can happen any more, nobody asks."""
        counting = [counter for counter in self._counters if counter.of_mandate]
        owners = {owner for counter in counting for owner in (*counter.cells, *counter.blind)}
        for owner in filter(ended, owners):
            for counter in counting:
                counter.forget(owner)

    def forget(self, tracker: str, owner: str, resources: Iterable[str]) -> None:
        """What one tracker counted of an owner on these is done with: it counts from nothing again."""
        for counter in self._counters:
            if counter.name == tracker:
                counter.forget_on(owner, resources)

    def forget_owner(self, tracker: str, owner: str) -> None:
        """All that one tracker counted of an owner is done with: it counts from nothing again."""
        for counter in self._counters:
            if counter.name == tracker:
                counter.forget(owner)

    def forget_idle(self, now: int) -> None:
        """Of owners of whom nothing is inside any window any more, nothing is kept."""
        for counter in self._counters:
            for owner in [one for one in counter.cells if counter.is_idle(one, now)]:
                counter.forget(owner)

    def due(self, durable: int) -> HistoryState | None:
        """What may be kept now that the log has `durable` entries on stable storage."""
        # Entries are folded as they get their places: of what is durable none is left to fold.
        self.entries = max(self.entries, durable)
        is_far = bool(self._counters) and self.entries - self._kept_to >= UNKEPT_ENTRIES_MAX
        is_due = is_far or any(one.changed or one.is_fresh for one in self._counters if one.is_read)
        if self._waiting is None and is_due:
            self._waiting = self._state()
        return self._waiting if self._waiting is not None and self._waiting.entries <= durable else None

    def kept(self, state: HistoryState) -> None:
        """What was due is on stable storage."""
        self._kept_to = state.entries
        if self._waiting is state:
            self._waiting = None

    def _state(self) -> HistoryState:
        places: dict[Place, Kept | None] = {}
        read = [one for one in self._counters if one.is_read]
        fresh = frozenset(one.digest for one in read if one.is_fresh)
        for one in read:
            places.update(((one.digest, owner, key), one.at(owner, key)) for owner, key in one.changed)
            one.changed, one.is_fresh = set(), False
        return HistoryState(
            entries=self.entries, trackers=frozenset(one.digest for one in read), fresh=fresh, places=places
        )

    def _take_up(self, state: HistoryState) -> None:
        """What was to be kept is due again, for those that are still there."""
        counters = {counter.digest: counter for counter in self._counters}
        for digest in state.fresh & counters.keys():
            counters[digest].is_fresh = True
        for digest, owner, key in state.places:
            if digest in counters:
                counters[digest].changed.add((owner, key))

    def _hit(self, event: Event) -> tuple[tuple[Counter, tuple[int, ...] | None], ...]:
        """The trackers that an event counts for, with its steps in each."""
        name = (event.event, event.capability, event.server, event.nature)
        found = self._hits.get(name)
        if found is None:
            if len(self._hits) >= HITS_KEPT_MAX:
                self._hits.clear()
            hits = [(counter, counter.steps(event)) for counter in self._counters]
            found = self._hits[name] = tuple(hit for hit in hits if hit[1] != ())
        return found


def _unread(tracker: Tracker) -> Counter:
    counter = Counter(tracker)
    counter.is_read = False
    return counter

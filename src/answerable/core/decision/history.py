"""The counts of past events that trackers declare, by agent and by mandate, in memory.

Events are counted in the order in which their entries get their indexes in the log, so that a reader of the log
computes the same values. An action counts as `started` from its reservation on, and no longer if it gets no index.

Laws: a state given out for storage covers all entries below one index and none above; a caller cannot reduce a value by
opening something anew; missing events make a value unknown, never smaller; memory per owner is bounded.
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
"""After this many entries a state is stored even if nothing was counted in them, so that no start reads them again."""
HITS_KEPT_MAX: Final = 4_096

Place: TypeAlias = "tuple[str, str, str]"
"""Digest of the tracker, owner, and key of the resource."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownHistory:
    """A tracker whose value is unknown, and why."""

    tracker: str
    because: Unknown

    def text(self) -> str:
        """Return the text for the caller."""
        return f"tracker `{self.tracker}` has no value: {_BECAUSE[self.because]}"


_BECAUSE: Final[dict[Unknown, str]] = {
    "fields": "entries that count for it can no longer be read; it is known again once they are out of its window",
    "resources": "more resources were used than are kept; it is known again once they are out of its window",
    "unread": "what happened before it was declared is being read; try again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryState:
    """A state to be stored: it includes all entries below `entries`. trackers: digests of all trackers; fresh: those of
    which nothing stored before is valid. places: only the changed ones; None for a removed one."""

    entries: int
    trackers: frozenset[str]
    fresh: frozenset[str]
    places: Mapping[Place, Kept | None]


@dataclass(slots=True, kw_only=True)
class ReadingBack:
    """New trackers whose past events are being read from the log. Events from now on wait in `later` until then.

    before: all events of entries below this index are past.
    """

    history: History
    before: int
    later: list[Event] = field(default_factory=list)


class History:
    """Not thread-safe; no method blocks."""

    def __init__(self, trackers: Iterable[Tracker] = ()) -> None:
        """trackers: without past events, or with none that are not counted."""
        self._counters = tuple(Counter(tracker) for tracker in trackers)
        self.entries = 0
        self._ahead: list[Event] = []
        self._reading: list[ReadingBack] = []
        self._hits: dict[tuple[object, ...], tuple[tuple[Counter, tuple[int, ...] | None], ...]] = {}
        self._waiting: HistoryState | None = None
        self._kept_to = 0

    @property
    def counters(self) -> tuple[Counter, ...]:
        """The counters in force, each queried for one owner."""
        return self._counters

    @property
    def is_counting(self) -> bool:
        """Whether events are needed by any tracker."""
        return bool(self._counters or self._reading)

    @property
    def trackers(self) -> tuple[Tracker, ...]:
        """The trackers in force."""
        return tuple(counter.tracker for counter in self._counters)

    @property
    def is_read(self) -> bool:
        """Whether all trackers include the events from before their declaration."""
        return all(counter.is_read for counter in self._counters)

    @property
    def needs_fields(self) -> bool:
        """Whether sealed fields must be decrypted to count the log's entries."""
        return needs_fields(self.trackers)

    def values(self, *, agent: str, mandate: str, resource: str, now: int) -> dict[str, int] | UnknownHistory:
        """Return the value of each tracker by name, for an action on this resource, or the first that is unknown."""
        found: dict[str, int] = {}
        for counter in self._counters:
            value = counter.value(agent, mandate, resource, now)
            if isinstance(value, str):
                return UnknownHistory(tracker=counter.name, because=value)
            found[counter.name] = value
        return found

    def begin(self, event: Event) -> None:
        """Count a reserved action, whether or not its intent has an index in the log by now."""
        self._ahead.append(event)
        for counter, steps in self._hit(event):
            counter.reach(event, steps or ())

    def withdraw(self, event: Event) -> None:
        """Remove an action whose intent gets no index. Idempotent."""
        for index, one in enumerate(self._ahead):
            if one is event:
                del self._ahead[index]
                for counter, _ in self._hit(event):
                    counter.withdraw(event)
                return

    def placed(self, event: Event | None, index: int) -> None:
        """Note that an entry got its index in the log. Call in the order of the indexes. event: None for an entry
        without one."""
        self.entries = index + 1
        if event is not None:
            if self._ahead:
                self.withdraw(event)
            self.happened(event)

    def happened(self, event: Event) -> None:
        """Count an event of the next entry, or of none."""
        for reading in self._reading:
            reading.later.append(event)
        for counter, steps in self._hit(event):
            counter.fold(event, steps)

    def take_back(self, event: Event) -> None:
        """Remove a counted event of which nothing came. Not for trackers whose past events are being read."""
        for counter, _ in self._hit(event):
            counter.take_back(event)

    def missing(self, trackers: Iterable[Tracker]) -> tuple[Tracker, ...]:
        """Return the trackers whose past events are not counted here."""
        read = {counter.digest for counter in self._counters if counter.is_read}
        return tuple(one for one in trackers if tracker_digest(one) not in read)

    def read_back(self, trackers: Iterable[Tracker]) -> ReadingBack:
        """Collect events for these trackers from now on, too, until they are adopted or dropped."""
        reading = ReadingBack(history=History(trackers), before=self.entries)
        self._reading.append(reading)
        return reading

    def let_go(self, reading: ReadingBack) -> None:
        """Drop these trackers."""
        self._reading = [one for one in self._reading if one is not reading]

    def adopt(self, trackers: Sequence[Tracker], *read: History | ReadingBack) -> None:
        """Put these trackers into force, and no others. read: the sources of those not here yet; one without a source
        has no value until it is adopted again."""
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
        """At a start, take everything stored of a tracker. False where it cannot belong to that tracker."""
        [counter] = [one for one in self._counters if one.digest == digest]
        counter.is_fresh = False
        return all(counter.put(owner, key, kept) for owner, key, kept in places)

    def until(self, now: int) -> None:
        """At a start, move later events to this time."""
        for counter in self._counters:
            counter.until(now)

    def forget_mandates(self, ended: Callable[[str], bool]) -> None:
        """Remove the counts of mandates under which nothing can happen any more."""
        counting = [counter for counter in self._counters if counter.of_mandate]
        owners = {owner for counter in counting for owner in (*counter.cells, *counter.blind)}
        for owner in filter(ended, owners):
            for counter in counting:
                counter.forget(owner)

    def forget(self, tracker: str, owner: str, resources: Iterable[str]) -> None:
        """Reset the counts of one tracker for an owner on these resources."""
        for counter in self._counters:
            if counter.name == tracker:
                counter.forget_on(owner, resources)

    def forget_owner(self, tracker: str, owner: str) -> None:
        """Reset all counts of one tracker for an owner."""
        for counter in self._counters:
            if counter.name == tracker:
                counter.forget(owner)

    def forget_idle(self, now: int) -> None:
        """Remove owners without an event inside any window."""
        for counter in self._counters:
            for owner in [one for one in counter.cells if counter.is_idle(one, now)]:
                counter.forget(owner)

    def due(self, durable: int) -> HistoryState | None:
        """Return the state that may be stored now that the log has `durable` entries on stable storage; None when
        nothing is due."""
        # Entries are counted as they get their indexes, so every durable entry is already counted.
        self.entries = max(self.entries, durable)
        is_far = bool(self._counters) and self.entries - self._kept_to >= UNKEPT_ENTRIES_MAX
        is_due = is_far or any(one.changed or one.is_fresh for one in self._counters if one.is_read)
        if self._waiting is None and is_due:
            self._waiting = self._state()
        return self._waiting if self._waiting is not None and self._waiting.entries <= durable else None

    def kept(self, state: HistoryState) -> None:
        """Note that the due state is on stable storage."""
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
        """Mark a pending state as due again, for trackers still in force."""
        counters = {counter.digest: counter for counter in self._counters}
        for digest in state.fresh.intersection(counters):
            counters[digest].is_fresh = True
        for digest, owner, key in state.places:
            if digest in counters:
                counters[digest].changed.add((owner, key))

    def _hit(self, event: Event) -> tuple[tuple[Counter, tuple[int, ...] | None], ...]:
        """Return the trackers that an event counts for, with its steps in each."""
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

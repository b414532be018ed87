"""Store tracker counts beside the log, so that a start need not read the whole log again.

The entries are the record. The stored state goes up to an entry on stable storage; a start folds in later entries. For
a new tracker, or one without stored state, the log is read back as far as the tracker looks, before the tracker is used
in any decision.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias

import anyio
import anyio.lowlevel
import anyio.to_thread
import msgspec

from answerable.core.approval.approval import ApprovalId
from answerable.core.decision.counter import Event, tracker_digest
from answerable.core.decision.history import History
from answerable.core.decision.tally import decoded
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.happened import attempted, whole
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import MandateId
from answerable.errors.codes.containment import HISTORY_UNREAD
from answerable.errors.codes.ledger import LEDGER_BUSY
from answerable.flows.counters.count_history import approved, fields_of, registered, started_by
from answerable.flows.counters.note_uses import first_entry_since
from answerable.ports.history_register import KeptHistory

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.decision.history import HistoryState, Place
    from answerable.core.decision.tally import Kept
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.registry.documents.policy_parts import EventKind, Tracker
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.state.walk import Walk
    from answerable.ports.history_register import HistoryRegister

DAY_MILLIS: Final = 86_400_000
"""How far back clocks may be set without an entry being missed, and how long an ended mandate stays in memory."""
ENTRIES_AT_A_TIME: Final = 100
ASKED_MAX: Final = 20_000
"""Deferrals kept in memory while reading; older ones are looked up in the approval register."""
LOOKS_MAX: Final = 3_000
"""Checks for entries on their way to the disk, before giving up."""
_LOOK_SECONDS: Final = 0.01
Elsewhere: TypeAlias = "Callable[[Callable[[str, HistoryState], None], str, HistoryState], Awaitable[None]]"
Fold: TypeAlias = "Callable[[Walk, History, int], None]"
_NOTHING_KEPT: Final = KeptHistory(entries={}, places={})
_ENDS: Final[dict[JSONValue, EventKind]] = {
    "succeeded": "succeeded",
    "failed": "failed",
    "indeterminate": "failed",
}


def restore_history(walk: Walk) -> None:
    """At a start, load the stored counts and fold in later entries. Raises Unavailable, and Broken (`ledger.*`)."""
    trackers = walk.registry.current.parts.trackers
    restore_counted(walk, walk.history, trackers, origin=walk.ledger.origin, fold=_fold)
    walk.history.forget_mandates(partial(_has_ended, walk, walk.clock.now()))


def restore_counted(
    walk: Walk, counted: History, trackers: Sequence[Tracker], *, origin: str, fold: Fold
) -> None:
    """At a start, load the counts stored for `origin` for these trackers, and fold in later entries. fold: counts the
    entries from an index on."""
    size, now = walk.ledger.size, walk.clock.now()
    counted.entries = size
    if not trackers:
        return
    register = walk.history_register
    kept = register.kept(origin) if register is not None else _NOTHING_KEPT
    first = first_entry(walk, trackers, now)
    # A state beyond the end of the log belongs to another copy of it; one from before `first` is too old to use.
    up_to = max([count for count in kept.entries.values() if first <= count <= size], default=0)
    places: dict[str, list[Place]] = {}
    for place in kept.places if up_to else ():
        places.setdefault(place[0], []).append(place)
    restored = [_restored(one, kept, places.get(tracker_digest(one), ()), up_to) for one in trackers if up_to]
    found = [one for one in restored if one is not None]
    before = History()
    before.adopt([tracker for one in found for tracker in one.trackers], *found)
    fold(walk, before, up_to)
    fresh = History(before.missing(trackers))
    if fresh.trackers:
        fold(walk, fresh, first_entry(walk, fresh.trackers, now))
    counted.adopt(trackers, before, fresh)
    counted.until(now)


class HistoryReading:
    """Reads back the missing counts for the trackers of these documents. Events that happen meanwhile are included."""

    def __init__(self, walk: Walk, snapshot: RegistrySnapshot) -> None:
        """Begin now: entries that have a place in the log are read; later events are passed in as they happen."""
        self._walk = walk
        self.trackers = snapshot.parts.trackers
        missing = walk.history.missing(self.trackers)
        self.back = walk.history.read_back(missing)
        self._reader = HistoryReader(walk, self.back.history, snapshot)
        self._index = first_entry(walk, missing, walk.clock.now()) if missing else self.back.before

    @property
    def is_read(self) -> bool:
        """Whether everything is read that happened before the reading began."""
        return self._index >= self.back.before

    async def read(self) -> None:
        """Read on, as far as the log is on stable storage. Raises Unavailable, and Broken (`ledger.*`)."""
        while self._index < (end := min(self._walk.ledger.size, self.back.before)):
            count = min(ENTRIES_AT_A_TIME, end - self._index)
            for stored in islice(self._walk.ledger.replay(self._index), count):
                self._reader.fold(stored)
            self._index += count
            await anyio.lowlevel.checkpoint()

    def adopt(self) -> None:
        """Put the trackers into force. Raises Broken (`history.unread`) until everything is read."""
        if not self.is_read:
            raise HISTORY_UNREAD()
        self._walk.history.adopt(self.trackers, self.back)


@contextmanager
def reading_back(walk: Walk, snapshot: RegistrySnapshot) -> Iterator[HistoryReading]:
    """Open a reading for the trackers of these documents. It must be adopted within the block, or it is discarded."""
    reading = HistoryReading(walk, snapshot)
    try:
        yield reading
    finally:
        walk.history.let_go(reading.back)


async def read_unread_history(walk: Walk) -> bool:
    """Read back what trackers lack that another process has put into force; return whether any lacked anything. Until
    then their values are unknown. Raises Unavailable, and Broken (`ledger.*`)."""
    if walk.history.is_read:
        return False
    with reading_back(walk, walk.registry.current) as reading:
        for _ in range(LOOKS_MAX):
            await reading.read()
            if reading.is_read:
                break
            await anyio.sleep(_LOOK_SECONDS)
        else:
            raise LEDGER_BUSY("entries of the ledger are not written to the disk: check the disk")
        # The trackers in force may have changed since the reading began.
        walk.history.adopt(walk.registry.current.parts.trackers, reading.back)
    return True


async def keep_history(walk: Walk, *, elsewhere: Elsewhere = anyio.to_thread.run_sync) -> None:
    """Store the state whose entries are on stable storage. Raises Unavailable; unstored state is read at the start.

    elsewhere: runs a blocking disk write while actions continue.
    """
    if walk.history_register is None:
        return
    walk.history.forget_mandates(partial(_has_ended, walk, walk.clock.now()))
    await _kept(walk, walk.history_register, walk.history, walk.ledger.origin, elsewhere)
    rules = walk.stop_rules.history
    rules.forget_idle(walk.clock.now())
    await _kept(walk, walk.history_register, rules, rules_origin(walk), elsewhere)


async def _kept(
    walk: Walk, register: HistoryRegister, counted: History, origin: str, elsewhere: Elsewhere
) -> None:
    state = counted.due(walk.ledger.size)
    if state is not None:
        await elsewhere(register.keep, origin, state)
        counted.kept(state)


def rules_origin(walk: Walk) -> str:
    """Return the name under which a log's counts for stop rules are stored, beside those for trackers."""
    return f"{walk.ledger.origin} stop rules"


class HistoryReader:
    """Folds entries, in order, into a history. snapshot: to look up capabilities that an entry does not describe
    itself."""

    def __init__(self, walk: Walk, history: History, snapshot: RegistrySnapshot) -> None:
        self._walk, self._history, self._snapshot = walk, history, snapshot
        self._with_fields = history.needs_fields
        self._begun: dict[int, Event] = {}
        self._asked: dict[str, Event] = {}

    def fold(self, stored: StoredEntry) -> None:
        """Count the event of an entry."""
        event: Event | None = None
        if stored.tag == Tag.INTENT:
            event = self._begun[stored.index] = self._attempted("started", stored)
        elif stored.tag in (Tag.OUTCOME, Tag.INDETERMINATE):
            event = self._ended(stored)
        elif stored.tag == Tag.REFUSAL:
            denied = self._attempted("denied", stored)
            event = denied if denied.capability else None
        elif stored.tag == Tag.APPROVAL_ASKED:
            self._ask(stored)
        elif stored.tag == Tag.APPROVAL_ANSWER:
            event = self._answered(stored)
        if event is not None:
            self._history.happened(event)

    def _ask(self, stored: StoredEntry) -> None:
        if len(self._asked) >= ASKED_MAX:
            del self._asked[next(iter(self._asked))]
        self._asked[str(leaf_of(stored).get("approval"))] = self._attempted("approved", stored)

    def _attempted(self, kind: EventKind, stored: StoredEntry) -> Event:
        leaf = leaf_of(stored)
        fields = fields_of(self._walk, stored, leaf) if self._with_fields else None
        return attempted(kind, leaf, fields, registered(self._snapshot, str(leaf.get("capability"))))

    def _ended(self, stored: StoredEntry) -> Event | None:
        leaf = leaf_of(stored)
        intent, kind = whole(leaf, "intent"), _ENDS.get(leaf.get("status"))
        begun = self._begun.pop(intent, None)
        if kind is None:
            return None
        begun = begun or started_by(self._walk, intent)
        return msgspec.structs.replace(begun, event=kind, at=whole(leaf, "at")) if begun is not None else None

    def _answered(self, stored: StoredEntry) -> Event | None:
        leaf = leaf_of(stored)
        name, at = str(leaf.get("approval")), whole(leaf, "at")
        if leaf.get("state") == "pending":
            return None
        asked = self._asked.pop(name, None)
        if leaf.get("state") != "approved":
            return None
        if asked is not None:
            return msgspec.structs.replace(asked, at=at)
        approval = self._walk.approvals.find(ApprovalId(name))
        if approval is not None:
            return approved(approval, self._snapshot, UnixMillis(at))
        mandate = self._walk.mandates.find(MandateId(str(leaf.get("mandate"))))
        return Event(
            event="approved",
            at=at,
            agent=mandate.agent if mandate is not None else "",
            mandate=str(leaf.get("mandate")),
            capability="",
            server="",
            nature=None,
            resource=None,
            arguments=None,
        )


def _restored(tracker: Tracker, kept: KeptHistory, places: Sequence[Place], up_to: int) -> History | None:
    """Return the stored history of a tracker; None if none is stored or it does not decode. places: of this tracker."""
    digest = tracker_digest(tracker)
    if kept.entries.get(digest) != up_to:
        return None
    found: list[tuple[str, str, Kept]] = []
    for place in places:
        cell = decoded(kept.places[place])
        if cell is None:
            return None
        found.append((*place[1:], cell))
    one = History([tracker])
    return one if one.restored(digest, found) else None


def _fold(walk: Walk, history: History, start: int) -> None:
    if history.trackers:
        reader = HistoryReader(walk, history, walk.registry.current)
        for stored in walk.ledger.replay(start):
            reader.fold(stored)


def first_entry(walk: Walk, trackers: Sequence[Tracker], now: int) -> int:
    """Return the first entry that these trackers need. Reads beyond each window by the same length again, and at least
    a day, to cover clocks that were set back, and by the longest time from a deferral to its answer."""
    since = now
    for tracker in trackers:
        within = tracker.within_seconds * 1000
        if within:
            since = min(since, now - within - max(within, DAY_MILLIS))
    if not all(tracker.within_seconds for tracker in trackers):
        running = [one.not_before for one in walk.mandates.all() if one.expires_at + DAY_MILLIS > now]
        since = min([since, *running])
    return first_entry_since(walk, max(0, since - DAY_MILLIS - walk.limits.approval_ttl_ms), walk.ledger.size)


def _has_ended(walk: Walk, now: int, mandate: str) -> bool:
    found = walk.mandates.find(MandateId(mandate))
    return found is None or found.expires_at + DAY_MILLIS <= now or walk.mandates.state(found.id) == "closed"

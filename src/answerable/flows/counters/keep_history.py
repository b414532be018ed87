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
    from answerable.flows.counters.read_parts import ReadLog, ReadRegisters
    from answerable.flows.state.parts import AuthorityRegisters, Counters, Recorder
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.clock import Clock
    from answerable.ports.history_register import HistoryRegister
    from answerable.ports.ledger import Ledger
    from answerable.ports.mandate_register import MandateRegister

DAY_MILLIS: Final = 86_400_000
"""How far back clocks may be set without an entry being missed, and how long an ended mandate stays in memory."""
ENTRIES_AT_A_TIME: Final = 100
ASKED_MAX: Final = 20_000
"""Deferrals kept in memory while reading; older ones are looked up in the approval register."""
LOOKS_MAX: Final = 3_000
"""Checks for entries on their way to the disk, before giving up."""
_LOOK_SECONDS: Final = 0.01
Elsewhere: TypeAlias = "Callable[[Callable[[str, HistoryState], None], str, HistoryState], Awaitable[None]]"
Fold: TypeAlias = "Callable[[History, int], None]"
_NOTHING_KEPT: Final = KeptHistory(entries={}, places={})
_ENDS: Final[dict[JSONValue, EventKind]] = {
    "succeeded": "succeeded",
    "failed": "failed",
    "indeterminate": "failed",
}


def restore_history(
    recorder: Recorder, authority: AuthorityRegisters, counters: Counters, limits: WalkLimits
) -> None:
    """At a start, load the stored counts and fold in later entries. Raises Unavailable, and Broken (`ledger.*`)."""
    trackers = authority.registry.current.parts.trackers
    restore_counted(
        recorder.ledger,
        authority.mandates,
        counters.history_register,
        limits,
        recorder.clock,
        counters.history,
        trackers,
        origin=recorder.ledger.origin,
        fold=partial(_fold, recorder, authority),
    )
    counters.history.forget_mandates(partial(_has_ended, authority.mandates, recorder.clock.now()))


def restore_counted(
    ledger: Ledger,
    mandates: MandateRegister,
    history_register: HistoryRegister | None,
    limits: WalkLimits,
    clock: Clock,
    counted: History,
    trackers: Sequence[Tracker],
    *,
    origin: str,
    fold: Fold,
) -> None:
    """At a start, load the counts stored for `origin` for these trackers, and fold in later entries. fold: counts the
    entries from an index on."""
    size, now = ledger.size, clock.now()
    counted.entries = size
    if not trackers:
        return
    register = history_register
    kept = register.kept(origin) if register is not None else _NOTHING_KEPT
    first = first_entry(ledger, mandates, limits, trackers, now)
    # A state beyond the end of the log belongs to another copy of it; one from before `first` is too old to use.
    up_to = max([count for count in kept.entries.values() if first <= count <= size], default=0)
    places: dict[str, list[Place]] = {}
    for place in kept.places if up_to else ():
        places.setdefault(place[0], []).append(place)
    restored = [_restored(one, kept, places.get(tracker_digest(one), ()), up_to) for one in trackers if up_to]
    found = [one for one in restored if one is not None]
    before = History()
    before.adopt([tracker for one in found for tracker in one.trackers], *found)
    fold(before, up_to)
    fresh = History(before.missing(trackers))
    if fresh.trackers:
        fold(fresh, first_entry(ledger, mandates, limits, fresh.trackers, now))
    counted.adopt(trackers, before, fresh)
    counted.until(now)


class HistoryReading:
    """Reads back the missing counts for the trackers of these documents. Events that happen meanwhile are included."""

    def __init__(
        self,
        recorder: Recorder,
        authority: AuthorityRegisters,
        history: History,
        limits: WalkLimits,
        snapshot: RegistrySnapshot,
    ) -> None:
        """Begin now: entries that have a place in the log are read; later events are passed in as they happen."""
        self._recorder, self._history = recorder, history
        self.trackers = snapshot.parts.trackers
        missing = history.missing(self.trackers)
        self.back = history.read_back(missing)
        self._reader = HistoryReader(recorder, authority, self.back.history, snapshot)
        self._index = (
            first_entry(recorder.ledger, authority.mandates, limits, missing, recorder.clock.now())
            if missing
            else self.back.before
        )

    @property
    def is_read(self) -> bool:
        """Whether everything is read that happened before the reading began."""
        return self._index >= self.back.before

    async def read(self) -> None:
        """Read on, as far as the log is on stable storage. Raises Unavailable, and Broken (`ledger.*`)."""
        while self._index < (end := min(self._recorder.ledger.size, self.back.before)):
            count = min(ENTRIES_AT_A_TIME, end - self._index)
            for stored in islice(self._recorder.ledger.replay(self._index), count):
                self._reader.fold(stored)
            self._index += count
            await anyio.lowlevel.checkpoint()

    def adopt(self) -> None:
        """Put the trackers into force. Raises Broken (`history.unread`) until everything is read."""
        if not self.is_read:
            raise HISTORY_UNREAD()
        self._history.adopt(self.trackers, self.back)


@contextmanager
def reading_back(
    recorder: Recorder,
    authority: AuthorityRegisters,
    history: History,
    limits: WalkLimits,
    snapshot: RegistrySnapshot,
) -> Iterator[HistoryReading]:
    """Open a reading for the trackers of these documents. It must be adopted within the block, or it is discarded."""
    reading = HistoryReading(recorder, authority, history, limits, snapshot)
    try:
        yield reading
    finally:
        history.let_go(reading.back)


async def read_unread_history(
    recorder: Recorder, authority: AuthorityRegisters, history: History, limits: WalkLimits
) -> bool:
    """Read back what trackers lack that another process has put into force; return whether any lacked anything. Until
    then their values are unknown. Raises Unavailable, and Broken (`ledger.*`)."""
    if history.is_read:
        return False
    with reading_back(recorder, authority, history, limits, authority.registry.current) as reading:
        for _ in range(LOOKS_MAX):
            await reading.read()
            if reading.is_read:
                break
            await anyio.sleep(_LOOK_SECONDS)
        else:
            raise LEDGER_BUSY("entries of the ledger are not written to the disk: check the disk")
        # The trackers in force may have changed since the reading began.
        history.adopt(authority.registry.current.parts.trackers, reading.back)
    return True


async def keep_history(
    ledger: Ledger,
    mandates: MandateRegister,
    counters: Counters,
    clock: Clock,
    *,
    elsewhere: Elsewhere = anyio.to_thread.run_sync,
) -> None:
    """Store the state whose entries are on stable storage. Raises Unavailable; unstored state is read at the start.

    elsewhere: runs a blocking disk write while actions continue.
    """
    if counters.history_register is None:
        return
    counters.history.forget_mandates(partial(_has_ended, mandates, clock.now()))
    await _kept(ledger, counters.history_register, counters.history, ledger.origin, elsewhere)
    rules = counters.stop_rules.history
    rules.forget_idle(clock.now())
    await _kept(ledger, counters.history_register, rules, rules_origin(ledger), elsewhere)


async def _kept(
    ledger: Ledger, register: HistoryRegister, counted: History, origin: str, elsewhere: Elsewhere
) -> None:
    state = counted.due(ledger.size)
    if state is not None:
        await elsewhere(register.keep, origin, state)
        counted.kept(state)


def rules_origin(ledger: Ledger) -> str:
    """Return the name under which a log's counts for stop rules are stored, beside those for trackers."""
    return f"{ledger.origin} stop rules"


class HistoryReader:
    """Folds entries, in order, into a history. snapshot: to look up capabilities that an entry does not describe
    itself."""

    def __init__(
        self, recorder: ReadLog, authority: ReadRegisters, history: History, snapshot: RegistrySnapshot
    ) -> None:
        self._recorder, self._authority, self._history, self._snapshot = (
            recorder,
            authority,
            history,
            snapshot,
        )
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
        fields = fields_of(self._recorder.subject_keys, stored, leaf) if self._with_fields else None
        return attempted(kind, leaf, fields, registered(self._snapshot, str(leaf.get("capability"))))

    def _ended(self, stored: StoredEntry) -> Event | None:
        leaf = leaf_of(stored)
        intent, kind = whole(leaf, "intent"), _ENDS.get(leaf.get("status"))
        begun = self._begun.pop(intent, None)
        if kind is None:
            return None
        begun = begun or started_by(self._recorder, self._authority.registry, intent)
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
        approval = self._authority.approvals.find(ApprovalId(name))
        if approval is not None:
            return approved(approval, self._snapshot, UnixMillis(at))
        mandate = self._authority.mandates.find(MandateId(str(leaf.get("mandate"))))
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


def _fold(recorder: Recorder, authority: AuthorityRegisters, history: History, start: int) -> None:
    if history.trackers:
        reader = HistoryReader(recorder, authority, history, authority.registry.current)
        for stored in recorder.ledger.replay(start):
            reader.fold(stored)


def first_entry(
    ledger: Ledger, mandates: MandateRegister, limits: WalkLimits, trackers: Sequence[Tracker], now: int
) -> int:
    """Return the first entry that these trackers need. Reads beyond each window by the same length again, and at least
    a day, to cover clocks that were set back, and by the longest time from a deferral to its answer."""
    since = now
    for tracker in trackers:
        within = tracker.within_seconds * 1000
        if within:
            since = min(since, now - within - max(within, DAY_MILLIS))
    if not all(tracker.within_seconds for tracker in trackers):
        running = [one.not_before for one in mandates.all() if one.expires_at + DAY_MILLIS > now]
        since = min([since, *running])
    return first_entry_since(ledger, max(0, since - DAY_MILLIS - limits.approval_ttl_ms), ledger.size)


def _has_ended(mandates: MandateRegister, now: int, mandate: str) -> bool:
    found = mandates.find(MandateId(mandate))
    return found is None or found.expires_at + DAY_MILLIS <= now or mandates.state(found.id) == "closed"

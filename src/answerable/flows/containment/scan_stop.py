"""Determine from one ledger what a stop reached: actions in flight, effects before it, and actions that began after it.

The scan reads forward and is stored, so that a caller who watches a stop reads no entry twice. In-flight actions are
determined by time: an action that ended before the hold was placed was not in flight. Later actions are determined by
the position of the hold's entry, if this ledger has one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

import anyio
import msgspec

from answerable.core.containment.reach import reach_of
from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.identity.names.spiffe_id import AGENT_PREFIX, spiffe_id
from answerable.core.ledger.containment import FLIGHTS_NAMED_MAX, NAMED_MAX, Flight, StopPart
from answerable.core.ledger.effects import DONE_NAMED_MAX, Done, ordered
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.revocation import instance_names
from answerable.flows.recording.give_way import Turns
from answerable.flows.revocation.place_hold import BECAUSE
from answerable.flows.revocation.trace_effects import (
    ENTRIES_LOOKED_AT_MAX,
    End,
    Intent,
    LeafReader,
    intent_in,
)
from answerable.flows.validity.refuse_revoked import agent_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.containment.hold import Hold, HoldId
    from answerable.core.ledger.containment import FlightStatus
    from answerable.core.ledger.effects import Undoing
    from answerable.core.ledger.entry import StoredEntry
    from answerable.flows.state.parts import AuthorityRegisters, Recorder
    from answerable.flows.state.walk_limits import WalkLimits

_ENDED_BY_IT: Final = (BECAUSE, "parent.ended")
"""Reasons for which instances end with a hold: the hold itself, or the end of the instance above a sub-agent."""

PLACING_MILLIS: Final = 10_000
"""Longest time for a hold to come into force. A log without the hold's entry can only use the clock."""
SCANS_MAX: Final = 8
"""Scans stored at a time; a discarded scan is read again."""


@dataclass(slots=True)
class _Action:
    leaf: Intent
    status: FlightStatus = ""
    ended_at: int = 0
    entry: int = -1


@dataclass(slots=True, kw_only=True)
class StopScan:
    """The scan of one ledger for one hold. entry, report: index of the hold's entry and of its containment report in
    this log; -1 where there is none. lifted_at: when the ledger says it was lifted; 0 for not. last, done, counted:
    actions that ended before the stop and took effect, or may have. instances: the first instances that ended with the
    hold."""

    recorder: Recorder
    authority: AuthorityRegisters
    limits: WalkLimits
    hold: Hold
    looked_from: int
    read_to: int
    entry: int = -1
    report: int = -1
    lifted_at: int = 0
    last: Done | None = None
    done: list[Done] = field(default_factory=list)
    counted: dict[Undoing, int] = field(default_factory=dict)
    instances: list[str] = field(default_factory=list)
    instances_count: int = 0
    _open: dict[int, _Action] = field(default_factory=dict)
    _listed: frozenset[object] = frozenset()
    _reader: LeafReader = field(init=False)
    _lock: anyio.Lock = field(default_factory=anyio.Lock)

    def __post_init__(self) -> None:
        self._reader = LeafReader(self.recorder, self.authority)

    async def advance(self) -> None:
        """Read new entries, letting other tasks run meanwhile. Raises Unavailable, Broken."""
        async with self._lock:
            size = self.recorder.ledger.size
            if self.read_to >= size:
                return
            turns = Turns(self.recorder.clock)
            for count, stored in enumerate(self.recorder.ledger.replay(self.read_to)):
                await turns.after(count)
                self._take(stored)
                self.read_to = stored.index + 1
                if self.read_to >= size:
                    break
            self.done = list(ordered(self.done))

    def in_flight(self) -> tuple[Flight, ...]:
        """Return the actions that had started and not ended when the hold was placed."""
        return tuple(
            self._flight(index, one)
            for index, one in self._open.items()
            if self._is_before(index, one) and not self._had_ended(index, one)
        )

    def after(self) -> tuple[Flight, ...]:
        """Return the actions that began after the hold's entry, while it was in force, and were not prevented from
        starting."""
        until = self._until()
        return tuple(
            self._flight(index, one)
            for index, one in self._open.items()
            if not self._is_before(index, one)
            and one.status not in ("", "not_started")
            and (not until or one.leaf.at < until)
        )

    def effects(self) -> tuple[tuple[Done, ...], dict[Undoing, int]]:
        """Return the actions that took effect, or may have, up to now, and how many of each kind of undoing."""
        done, counted = list(self.done), dict(self.counted)
        for one in self._unsettled():
            done.append(one)
            counted[one.undoing] = counted.get(one.undoing, 0) + 1
        return ordered(done), counted

    def last_effect(self) -> Done | None:
        """Return the newest action that had ended when the hold was placed, and took effect or may have."""
        found = [one for one in (self.last,) if one is not None]
        for index, one in self._open.items():
            took = one.status in ("succeeded", "indeterminate")
            if took and self._is_before(index, one) and self._had_ended(index, one):
                found.append(self._reader.done(index, one.leaf, one.status))
        return max(found, key=lambda one: one.index, default=None)

    def _until(self) -> int:
        return self.lifted_at or self.hold.lifted_at or self.hold.expires_at

    def _unsettled(self) -> Iterator[Done]:
        for index, one in self._open.items():
            if self._is_before(index, one) and one.status in ("succeeded", "indeterminate"):
                yield self._reader.done(index, one.leaf, one.status)

    def _take(self, stored: StoredEntry) -> None:
        if stored.tag == Tag.INTENT:
            leaf = intent_in(stored)
            until = self._until()
            if self.entry >= 0 and until and leaf.at >= until:
                return
            if self._reader.is_under(leaf, self.hold.what):
                self._open[stored.index] = _Action(leaf)
        elif stored.tag in (Tag.OUTCOME, Tag.INDETERMINATE):
            end = msgspec.json.decode(stored.leaf, type=End)
            if end.intent in self._open:
                self._end(stored.index, end)
        elif stored.tag in (Tag.HOLD_PLACED, Tag.HOLD_LIFTED, Tag.CONTAINMENT_REPORT):
            self._note(stored)
        elif stored.tag == Tag.WORKLOAD_ENDED:
            self._note_instance(stored)

    def _end(self, index: int, end: End) -> None:
        one = self._open[end.intent]
        # A true outcome found later replaces an indeterminate one.
        one.status, one.ended_at, one.entry = cast("FlightStatus", end.status), end.at, index
        # Keep actions that may still get another end, or that ended in the millisecond of the stop: they are judged on
        # query.
        if one.ended_at >= self.hold.at or one.status == "indeterminate":
            return
        del self._open[end.intent]
        if one.status != "succeeded":
            return
        done = self._reader.done(end.intent, one.leaf, one.status)
        self.counted[done.undoing] = self.counted.get(done.undoing, 0) + 1
        self.done.append(done)
        if len(self.done) > 2 * DONE_NAMED_MAX:
            self.done = list(ordered(self.done))
        if self.last is None or self.last.index < done.index:
            self.last = done

    def _note(self, stored: StoredEntry) -> None:
        leaf = leaf_of(stored)
        if leaf.get("hold") != self.hold.id:
            return
        if stored.tag == Tag.HOLD_PLACED and self.entry < 0:
            listed = leaf.get("in_flight")
            self.entry = stored.index
            self._listed = frozenset(listed) if isinstance(listed, list) else frozenset()
        elif stored.tag == Tag.CONTAINMENT_REPORT and self.report < 0:
            self.report = stored.index
        elif stored.tag == Tag.HOLD_LIFTED:
            at = leaf.get("lifted_at")
            self.lifted_at = at if isinstance(at, int) else self.lifted_at

    def _note_instance(self, stored: StoredEntry) -> None:
        leaf = leaf_of(stored)
        at, name = leaf.get("at"), str(leaf.get("instance"))
        until = self._until()
        if leaf.get("because") not in _ENDED_BY_IT or not isinstance(at, int) or at < self.hold.at:
            return
        if until and at >= until:
            return
        if is_instance_under(self.authority, name, self.hold):
            self.instances_count += 1
            if len(self.instances) < NAMED_MAX:
                self.instances.append(name)

    def _is_before(self, index: int, one: _Action) -> bool:
        """Whether the action began before the hold. Without the hold's entry in this log, that includes the time of
        placing."""
        return index < self.entry if self.entry >= 0 else one.leaf.at <= self.hold.at + PLACING_MILLIS

    def _had_ended(self, index: int, one: _Action) -> bool:
        """Whether the action had ended before the hold. In the same millisecond, the hold's entry says which were in
        flight."""
        if not one.status or one.ended_at > self.hold.at:
            return False
        return one.ended_at < self.hold.at or (self.entry >= 0 and index not in self._listed)

    def _flight(self, index: int, one: _Action) -> Flight:
        leaf = one.leaf
        return Flight(
            log=self.recorder.ledger.origin,
            index=index,
            action=leaf.action,
            agent=AgentId(leaf.agent),
            capability=leaf.capability,
            since=UnixMillis(leaf.at),
            due_at=leaf.deadline + self.limits.upstream_ms_max,
            status=one.status,
            ended_at=one.ended_at,
            entry=one.entry,
        )


def is_instance_under(authority: AuthorityRegisters, name: str, hold: Hold) -> bool:
    """Whether an instance of this name, live or not, is within reach of a hold, by the registry now in force."""
    found = spiffe_id(name)
    agent = found.path.removeprefix(AGENT_PREFIX).partition("/")[0]
    names = (*agent_names(authority, AgentId(agent)), *instance_names(name))
    return hold.what in reach_of(names, authority.registry.current)


async def stop_part(
    recorder: Recorder,
    authority: AuthorityRegisters,
    scans: dict[HoldId, object],
    limits: WalkLimits,
    hold: Hold,
) -> StopPart:
    """Return this log's part of the report on a stop, up to now. Raises Unavailable, Broken."""
    scan = await scanned(recorder, authority, scans, limits, hold)
    flights, after = scan.in_flight(), scan.after()
    done, counted = scan.effects()
    return StopPart(
        log=recorder.ledger.origin,
        entry=scan.entry,
        last=scan.last_effect(),
        in_flight=flights[:FLIGHTS_NAMED_MAX],
        in_flight_count=len(flights),
        running=sum(not one.status for one in flights),
        after=after[:FLIGHTS_NAMED_MAX],
        after_count=len(after),
        done=done,
        counted=counted,
        looked_from=scan.looked_from,
        entries=scan.read_to,
        report=scan.report,
    )


async def scanned(
    recorder: Recorder,
    authority: AuthorityRegisters,
    scans: dict[HoldId, object],
    limits: WalkLimits,
    hold: Hold,
) -> StopScan:
    """Return the scan of this stop, read up to now. Raises Unavailable, Broken."""
    found = scans.pop(hold.id, None)
    if not isinstance(found, StopScan):
        start = max(0, recorder.ledger.size - ENTRIES_LOOKED_AT_MAX)
        found = StopScan(
            recorder=recorder, authority=authority, limits=limits, hold=hold, looked_from=start, read_to=start
        )
    # Insert at the end: the least recently used scan is discarded first.
    scans[hold.id] = found
    while len(scans) > SCANS_MAX:
        del scans[next(iter(scans))]
    found.hold = hold
    await found.advance()
    return found

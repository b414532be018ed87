"""Containment report of a hold: what the hold stopped, what had already started, and what it could not stop.

Laws: the report is computed from ledgers and stored nowhere else; it states whatever could not be determined; it is
complete once no action started before the hold is still running and no credential is being revoked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.ledger.effects import Done, NotAsked, Undoing

if TYPE_CHECKING:
    from answerable.core.containment.hold import Hold

FLIGHTS_NAMED_MAX: Final = 1_000
NAMED_MAX: Final = 200
"""Per kind of what was stopped or is still live; the rest is counted."""

FlightStatus = Literal["", "succeeded", "failed", "not_started", "indeterminate"]
"""Empty while unknown."""
LiveKind = Literal["svid", "token", "action", "lease"]


class Flight(msgspec.Struct, frozen=True, kw_only=True):
    """An action that was running when the hold was placed. index: of its intent in `log`.

    status, ended_at, entry: how it ended, when, and the entry that records it; empty, 0 and -1 while unknown. due_at:
    latest time by which it has ended or is recorded as indeterminate.
    """

    log: str
    index: int
    action: str
    agent: AgentId
    capability: str
    since: UnixMillis
    due_at: int
    status: FlightStatus = ""
    ended_at: int = 0
    entry: int = -1


class StillLive(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a hold does not end. until: Unix milliseconds; 0 where unknown. why: why it could not be ended."""

    kind: LiveKind
    name: str
    until: int
    why: str


class StopPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One log's part of the report; see ContainmentReport. entry: of the placing; -1 in a log without it, where `after`
    is determined by the clock: actions that began well after the hold was placed. report: entry of the recorded
    report; -1 in a log without it."""

    log: str
    entry: int
    last: Done | None
    in_flight: tuple[Flight, ...]
    in_flight_count: int
    running: int
    after: tuple[Flight, ...]
    after_count: int
    done: tuple[Done, ...]
    counted: dict[Undoing, int]
    looked_from: int
    entries: int
    report: int = -1


class OnRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Where a hold is on record. entry, report: of its placing and of its containment report; -1 for not yet."""

    log: str
    entry: int
    report: int


class ContainmentReport(msgspec.Struct, frozen=True, kw_only=True):
    """The effect of a hold. hold: in its current state. log, entry: where its placing is recorded; -1 where it is not,
    or not in this log.

    approvals: pending ones that were denied. instances: those that ended with the hold. mandates: open ones in its
    scope. cut: upstream calls and streams that this process ended; None where an earlier process did, whose count is
    lost. last: the last action in scope that had ended by then and took effect, or may have. in_flight: oldest first.
    running: how many of all have no end yet. after: actions started although the ledger has the placing before them:
    none, unless this software has a fault. done, counted: what took effect, or may have, with whether it can be undone.
    live, live_count: see StillLive. is_live_all: False where there may be more. leases: those in scope that ended
    since, as the broker reports. leases_due_at: latest time by which the leases being ended are gone, or reported as
    live with the reason; 0 when there are none. recorded: entry of the report in this log; -1 while there is none.
    not_asked: logs whose processes gave no answer: none of the numbers covers them. elsewhere: where the hold is on
    record, if in another log that was asked.
    """

    hold: Hold
    log: str
    entry: int
    approvals: tuple[str, ...]
    instances: tuple[str, ...]
    instances_count: int
    mandates: tuple[str, ...]
    mandates_count: int
    cut: int | None
    last: Done | None
    in_flight: tuple[Flight, ...]
    in_flight_count: int
    running: int
    after: tuple[Flight, ...]
    after_count: int
    done: tuple[Done, ...]
    counted: dict[Undoing, int]
    live: tuple[StillLive, ...]
    live_count: int
    is_live_all: bool
    not_asked: tuple[NotAsked, ...]
    looked_from: int
    entries: int
    recorded: int = -1
    leases: tuple[str, ...] = ()
    leases_due_at: int = 0
    elsewhere: OnRecord | None = None

    @property
    def is_settled(self) -> bool:
        """Whether no action started before the hold is still running, and no lease is being ended, in the logs that
        were asked."""
        return not self.running and not self.leases_due_at

    @property
    def is_complete(self) -> bool:
        """Whether the report is settled and covers every log."""
        return self.is_settled and not self.not_asked

    @property
    def due_at(self) -> int:
        """Latest time by which all running actions and leases have ended or are recorded as unknown; 0 when there are
        none."""
        flights = (one.due_at for one in self.in_flight if not one.status)
        return max(self.leases_due_at, max(flights, default=0))

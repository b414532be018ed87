"""What a hold stopped, what it came too late for, and what it could not stop.

Laws: it is computed from ledgers, and kept nowhere beside them; whatever could not be found out is said; it is complete
once nothing is on its way any more that had been started before the stop, and no credential is being taken back.
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
"""Of each kind of what was stopped or is still live; the rest is counted."""

FlightStatus = Literal["", "succeeded", "failed", "not_started", "indeterminate"]
"""Empty while it is not known."""
LiveKind = Literal["svid", "token", "action", "lease"]


class Flight(msgspec.Struct, frozen=True, kw_only=True):
    """An action that had been started when the stop came, and had no end. index: of its intent in `log`.

    status, ended_at, entry: how it ended, when, and the entry that says so; empty, 0 and -1 while that is not known.
    due_at: by when it has ended, or is written down as one of which that is not known.
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
    """What a stop does not end. until: Unix milliseconds; 0 where nobody here can say. why: it could not be ended."""

    kind: LiveKind
    name: str
    until: int
    why: str


class StopPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one log says of a stop; see ContainmentReport. entry: of the placing; -1 in a log that has it not, where
    `after` is by the clock: what began well after the hold was placed."""

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


class ContainmentReport(msgspec.Struct, frozen=True, kw_only=True):
    """hold: as it stands now. log, entry: where its placing is on record; -1 where it is not, or not in this log.

    approvals: those that waited and were denied. instances: those that ended with it. mandates: open ones in its reach.
    cut: upstream calls and streams that this process ended; None where an earlier process did, and nobody counts it
    any more. last: the last action within reach that had ended by then and took effect, or may have. in_flight: the
    oldest first, running: how many of all have no end yet. after: actions that the ledger has behind the placing and
    that were started all the same: none, or something of ours is broken. done, counted: what took effect, or may have,
    with whether it can be undone. live, live_count: see StillLive. is_live_all: False where there may be more. leases:
    those that ended since within its reach, as the broker says; leases_due_at: by when the others that are being ended
    are gone, or told as live with why they are not; 0 when there are none. recorded: entry of the report in this log;
    -1 as long as there is none.
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

    @property
    def is_complete(self) -> bool:
        """Whether nothing is on its way any more that had been started before the stop, and no lease is being ended."""
        return not self.running and not self.leases_due_at

    @property
    def due_at(self) -> int:
        """By when everything in flight has ended or is written down as not known, and leases are; 0 when nothing is."""
        flights = (one.due_at for one in self.in_flight if not one.status)
        return max(self.leases_due_at, max(flights, default=0))

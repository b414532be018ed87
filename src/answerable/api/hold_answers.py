"""Holds: what is held, what a person signs to lift it, and what a hold stopped."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType

from answerable.api.members import Component, Count, Digest, Instant, Part, Texts, words
from answerable.core.containment.hold import HoldKind, HoldSource
from answerable.core.ledger.effects import DoneStatus, Undoing

SECONDS_MAX: Final = 10 * 366 * 86_400
"""Longest lifetime of a hold in seconds; a hold without an end lasts longer."""


class StopRequest(Component, frozen=True, kw_only=True):
    """What to hold. Without kind, whatever alone has the name."""

    kind: HoldKind | UnsetType = UNSET
    name: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    seconds: Annotated[Count, Meta(extra_json_schema={"maximum": SECONDS_MAX})] | UnsetType = UNSET


class LiftSignature(Part, frozen=True, kw_only=True):
    """One person's signature of a lift."""

    by: str
    reason: str
    at: Instant
    key: str


class Hold(Component, frozen=True, kw_only=True):
    """One hold. digest: what a person signs to lift it. persons_to_lift: how many must sign."""

    id: str
    state: Annotated[str, words("in_force", "lifted", "expired")]
    kind: HoldKind
    name: str
    at: Instant
    by: str
    reason: str
    expires_at: Instant | None
    source: HoldSource
    rule: str
    digest: Digest
    persons_to_lift: Count
    agreed: tuple[LiftSignature, ...]
    lifted_at: Instant | None
    audience: str


class Lift(Component, frozen=True, kw_only=True):
    """A signed lift."""

    token: str


class Stop(Component, frozen=True, kw_only=True):
    """A hold that was placed. new: false where it was in force before. report: None when it is not ready at
    once."""

    hold: Hold
    new: bool
    recorded: bool
    report: ContainmentReport | None


class EndedByHold(Part, frozen=True, kw_only=True):
    """What the hold ended. cut: calls and streams, absent where the number is unknown."""

    approvals: Texts
    instances: Texts
    instances_count: Count
    mandates: Texts
    mandates_count: Count
    leases: Texts
    cut: Count | UnsetType = UNSET


class DoneAction(Part, frozen=True, kw_only=True):
    """An action that was done before the hold. undoing: whether it can be undone."""

    log: str
    entry: Count
    action: str
    agent: str
    capability: str
    at: Instant
    status: DoneStatus
    undoing: Undoing


class Flight(Part, frozen=True, kw_only=True):
    """An action that was in flight. outcome: entry of its end."""

    log: str
    entry: Count
    action: str
    agent: str
    capability: str
    since: Instant
    due: Instant
    status: Annotated[str, words("running", "succeeded", "failed", "not_started", "indeterminate")]
    ended_at: Instant | None
    outcome: Count | None


class DoneCount(Part, frozen=True, kw_only=True):
    """Actions done before the hold, by whether they can be undone."""

    not_reversible: Count
    reversible: Count
    read: Count


class LiveAuthority(Part, frozen=True, kw_only=True):
    """What still acts. until: None where its end is unknown."""

    kind: Annotated[str, words("action", "svid", "token")]
    name: str
    until: Instant | None
    why: str


class NotAsked(Part, frozen=True, kw_only=True):
    """A process that could not be asked."""

    log: str
    why: str


class OnRecord(Part, frozen=True, kw_only=True):
    """Where a hold is on record in the log of another shard. recorded: entry of its report; null for not yet."""

    log: str
    entry: Count
    recorded: Count | None


class ContainmentReport(Component, frozen=True, kw_only=True):
    """What a hold stopped, what came too late and what it could not stop. entry, recorded: in `log`, that of the
    process that answers; elsewhere: where they are if another shard placed it. not_asked: none of the numbers covers
    these, so that it is not complete."""

    hold: str
    complete: bool
    due: Instant | None
    log: str
    entry: Count | None
    recorded: Count | None
    stopped: EndedByHold
    last_effect: DoneAction | None
    in_flight: tuple[Flight, ...]
    in_flight_count: Count
    running: Count
    started_after: tuple[Flight, ...]
    started_after_count: Count
    done: tuple[DoneAction, ...]
    done_count: DoneCount
    live: tuple[LiveAuthority, ...]
    live_count: Count
    live_all: bool
    not_asked: tuple[NotAsked, ...]
    elsewhere: OnRecord | None
    looked_from: Count
    entries: Count

"""Revocations, and what each stopped."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from answerable.api.members import Component, Count, Instant, Part, Texts
from answerable.core.ledger.effects import DoneStatus, Undoing
from answerable.core.mandate.revocation import RevocationKind


class RevocationRequest(Component, frozen=True, kw_only=True):
    """What to revoke."""

    kind: RevocationKind
    name: str
    reason: str | UnsetType = UNSET


class Revocation(Component, frozen=True, kw_only=True):
    """One revocation."""

    kind: RevocationKind
    name: str
    at: Instant
    by: str
    reason: str


class EndedAuthority(Part, frozen=True, kw_only=True):
    """What the revocation ended. Counts are of all, of which not all may be listed."""

    mandates: Texts
    mandates_count: Count
    tokens: Texts
    tokens_count: Count
    approvals: Texts
    instances: Texts
    instances_count: Count


class FlightAtRevocation(Part, frozen=True, kw_only=True):
    """An action that was in flight."""

    log: str
    entry: Count
    action: str
    agent: str
    capability: str
    since: Instant
    due: Instant


class DoneAtRevocation(Part, frozen=True, kw_only=True):
    """An action that was done before."""

    log: str
    entry: Count
    action: str
    agent: str
    capability: str
    at: Instant
    status: DoneStatus
    undoing: Undoing


class UndoingCount(Part, frozen=True, kw_only=True):
    """Actions done before, by whether they can be undone."""

    not_reversible: Count
    reversible: Count
    read: Count


class LogAsked(Part, frozen=True, kw_only=True):
    """A log and how much of it was looked at."""

    log: str
    asked: bool
    looked_from: Count
    entries: Count
    why: str


class Stopped(Component, frozen=True, kw_only=True):
    """A revocation and what it stopped. new: false where it was revoked before."""

    revocation: Revocation
    new: bool
    stopped: EndedAuthority
    in_flight: tuple[FlightAtRevocation, ...]
    in_flight_count: Count
    done: tuple[DoneAtRevocation, ...]
    done_count: UndoingCount
    logs: tuple[LogAsked, ...]
    log: str

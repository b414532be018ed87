"""How people decide, in numbers."""

from __future__ import annotations

from answerable.api.members import Component, Count, Instant, Part
from answerable.core.ledger.describe_oversight import Verdict


class WaitTimes(Part, frozen=True, kw_only=True):
    """Median and 95th percentile of that many waits, in milliseconds."""

    count: Count
    p50: Count
    p95: Count


class DecidedRow(Part, frozen=True, kw_only=True):
    """Decisions of one approver, or by one rule or group."""

    name: str
    answered: Count
    approved: Count
    denied: Count
    fast: Count
    fast_looks: Count
    busiest_hour: Count
    asked: Count
    waiting: Count
    unanswered: Count
    failed: Count
    holds: Count
    glass: Count
    void: Count
    tests: Count
    caught: Count
    p10_ms: Count | None
    p50_ms: Count | None
    looks: Count
    look_p10_ms: Count | None
    look_p50_ms: Count | None
    first_look_ms: WaitTimes | None
    verdict: Verdict
    may_go: bool
    entries: tuple[Count, ...]


class TierRow(Part, frozen=True, kw_only=True):
    """Actions of one tier."""

    tier: str
    actions: Count
    alone: Count
    asked: Count
    tasks: Count
    wait_ms: WaitTimes | None


class Oversight(Component, frozen=True, kw_only=True):
    """Decisions since a time; None for the first entry. complete_from: None where nothing is missing."""

    log: str
    at: Instant
    since: Instant | None
    complete_from: Instant | None
    entries: Count
    size: Count
    unreadable: Count
    tests: Count
    caught: Count
    unseen: Count
    first_look_ms: WaitTimes | None
    approvers: tuple[DecidedRow, ...]
    rules: tuple[DecidedRow, ...]
    groups: tuple[DecidedRow, ...]
    tiers: tuple[TierRow, ...]

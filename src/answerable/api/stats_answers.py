"""What control costs, in numbers."""

from __future__ import annotations

from answerable.api.members import Component, Count, Digest, Instant, Part


class SpreadTimes(Part, frozen=True, kw_only=True):
    """Median and 95th percentile of that many times. exact: whether every time was kept."""

    count: Count
    p50: Count
    p95: Count
    exact: bool


class StatsGroup(Part, frozen=True, kw_only=True):
    """Actions of one tier and use case."""

    tier: str
    use_case: str
    actions: Count
    alone: Count
    asked: Count
    refused: Count
    counted: Count
    after_approval: Count
    approved: Count
    denied: Count
    unanswered: Count
    succeeded: Count
    failed: Count
    not_started: Count
    indeterminate: Count
    effects: Count
    traced: Count
    untraced: Count
    waiting: Count
    wait_ms: SpreadTimes | None
    trace_us: SpreadTimes | None


class UseCaseRow(Part, frozen=True, kw_only=True):
    """Tasks and questions of one use case."""

    use_case: str
    tasks: Count
    questions: Count


class DecisionTimes(Part, frozen=True, kw_only=True):
    """How long decisions took, in microseconds: counts between edges. Percentiles are None beyond the last
    edge."""

    count: Count
    p50_us_max: Count | None
    p95_us_max: Count | None
    p99_us_max: Count | None
    edges_us: tuple[Count, ...]
    counts: tuple[Count, ...]


class LogRow(Part, frozen=True, kw_only=True):
    """One log that was read. decisions: None where none is known."""

    origin: str
    entries: Count
    size: Count | None
    at: Instant
    unread: bool
    decisions: DecisionTimes | None


class Stats(Component, frozen=True, kw_only=True):
    """Figures counted from the ledger since a time; None for the first entry."""

    at: Instant
    since: Instant | None
    policy_set: Digest
    registry: str
    groups: tuple[StatsGroup, ...]
    use_cases: tuple[UseCaseRow, ...]
    revoked: Count
    ended: Count
    held: Count
    lifted: Count
    drills: Count
    drills_failed: Count
    untimed: Count
    policy_changes: Count
    unreadable: Count
    contain_ms: SpreadTimes | None
    logs: tuple[LogRow, ...]

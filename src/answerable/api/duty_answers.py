"""On-call duty: who answers, and for whom."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from answerable.api.members import Component, Count, Instant, Part, Texts, words


class EscalationStep(Part, frozen=True, kw_only=True):
    """Whom a question reaches next."""

    after_seconds: Count
    when: str
    asks: str


class Duty(Component, frozen=True, kw_only=True):
    """The duty of a group. covered: whether anybody is on call."""

    group: str
    time_zone: str
    first: Texts
    second: Texts
    covered: bool
    quiet_until: Annotated[str, Meta(description="RFC 3339, UTC; empty for none")]
    deputies: Texts
    delegation_days_max: Count
    steps: tuple[EscalationStep, ...]


class DutyGap(Component, frozen=True, kw_only=True):
    """A time at which nobody of a group is on call."""

    group: str
    begins: Instant
    ends: Instant
    text: str


class Backlog(Part, frozen=True, kw_only=True):
    """How many questions wait for one person."""

    person: str
    waiting: Count


class QueueHealth(Component, frozen=True, kw_only=True):
    """How long questions wait until they are seen. Percentiles are None where none was."""

    since: Instant
    asked: Count
    seen: Count
    view_p50_ms: Count | None
    view_p95_ms: Count | None
    expired: Count
    expired_unseen: Count
    waiting: Count
    backlog: tuple[Backlog, ...]


class ToldStep(Part, frozen=True, kw_only=True):
    """A step that was taken."""

    group: str
    step: Count


class ApprovalRoute(Component, frozen=True, kw_only=True):
    """Whose turn it is to answer an approval."""

    approval: str
    turn: Texts
    told: tuple[ToldStep, ...]
    first_view_at: Annotated[str, Meta(description="RFC 3339, UTC; empty for none")]
    next_at: Annotated[str, Meta(description="RFC 3339, UTC; empty for none")]


class DutyDelegation(Component, frozen=True, kw_only=True):
    """A person who stands in for another one."""

    id: str
    group: str
    of: str
    to: str
    from_: Instant = field(name="from")
    until: Instant
    reason: str
    strength: Annotated[str, words("any", "passkey", "hardware")]
    counts: bool
    ended: bool

"""Duty: who is on call, gaps in coverage, the routing of an approval, and delegations of duty."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from answerable.apps.control_api.call import Operation, instant, page_of
from answerable.apps.control_api.schemas import COUNT, FLAG, INSTANT, TEXT, TEXTS, choice, record, sequence
from answerable.core.approval.approval import ApprovalId
from answerable.core.approval.assurance_level import SIGNATURES
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.registry.documents.on_call import GAP_DAYS_MAX
from answerable.errors import shown
from answerable.errors.codes.approval import APPROVAL_UNKNOWN
from answerable.errors.codes.services import REQUEST_QUERY
from answerable.flows.approval.notify_on_call import (
    gaps_ahead,
    on_call_now,
    queue_health,
    route_of,
    standing_delegations,
)
from answerable.flows.escalation.appoint_deputy import appoint_deputy, end_duty

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Answer, Call
    from answerable.apps.control_api.schemas import Schema
    from answerable.core.approval.deputy_statement import DeputyStatement
    from answerable.flows.approval.notify_on_call import Gap, OnCall

DAY_MS: Final = 86_400_000
HEALTH_DAYS_MAX: Final = 90


async def list_duties(call: Call) -> Answer:
    """List each duty with the people on call, now or at another time."""
    text = call.query.get("at", "")
    at = _moment(text) if text else call.walk.clock.now()
    found = on_call_now(call.walk, at, group=call.query.get("group", ""))
    return page_of(call, found, name=lambda one: one.duty.group, render=_duty)


async def list_gaps(call: Call) -> Answer:
    """List the times at which nobody of a group is on call."""
    days = _days(call, GAP_DAYS_MAX, default=28)
    found = gaps_ahead(call.walk, days=days)
    return page_of(call, found, name=lambda one: f"{one.group}@{one.begins}", render=_gap)


async def show_health(call: Call) -> Answer:
    """Return how long questions wait until first viewed, and how many never were."""
    days = _days(call, HEALTH_DAYS_MAX, default=7)
    found = queue_health(call.walk, since=UnixMillis(call.walk.clock.now() - days * DAY_MS))
    return {
        "since": instant(found.since),
        "asked": found.asked,
        "seen": found.seen,
        "view_p50_ms": found.view_p50_ms,
        "view_p95_ms": found.view_p95_ms,
        "expired": found.expired,
        "expired_unseen": found.expired_unseen,
        "waiting": found.waiting,
        "backlog": [{"person": who, "waiting": count} for who, count in found.backlog],
    }


async def show_route(call: Call) -> Answer:
    """Return whose turn it is to answer one approval."""
    approval = call.walk.approvals.find(ApprovalId(call.path["id"]))
    if approval is None:
        raise APPROVAL_UNKNOWN(f"there is no approval {shown(call.path['id'])}")
    found = route_of(call.walk, approval)
    return {
        "approval": approval.id,
        "turn": [*found.turn],
        "told": [{"group": group, "step": step} for group, step in found.told],
        "first_view_at": instant(found.first_view) if found.first_view is not None else "",
        "next_at": instant(found.next_at) if found.next_at is not None else "",
    }


async def list_delegations(call: Call) -> Answer:
    """List the delegations that are neither ended nor removed."""
    register = call.walk.duties.register
    every = register.delegations() if register is not None else ()
    standing = standing_delegations(call.walk)
    return page_of(
        call, every, name=lambda one: one.id, render=lambda one: _delegation(one, counts=one.id in standing)
    )


async def give(call: Call) -> Answer:
    """Record a signed delegation of duty."""
    one = await appoint_deputy(call.walk, call.members("token").text("token"))
    return _delegation(one, counts=one.lasts(call.walk.clock.now()))


async def end(call: Call) -> Answer:
    """End a delegation of duty."""
    return _delegation(await end_duty(call.walk, call.path["id"], by=call.by), counts=False)


def _duty(one: OnCall) -> Answer:
    return {
        "group": one.duty.group,
        "time_zone": one.duty.zone,
        "first": [*one.first],
        "second": [*one.second],
        "covered": one.covered,
        "quiet_until": instant(one.quiet_until) if one.quiet_until is not None else "",
        "deputies": [*one.duty.deputies],
        "delegation_days_max": one.duty.delegation_days_max,
        "steps": [
            {"after_seconds": step.after_seconds, "when": step.when, "asks": step.group or step.asks}
            for step in one.duty.steps
        ],
    }


def _gap(one: Gap) -> Answer:
    return {
        "group": one.group,
        "begins": instant(one.begins),
        "ends": instant(one.ends),
        "text": one.text,
    }


def _delegation(one: DeputyStatement, *, counts: bool) -> Answer:
    return {
        "id": one.id,
        "group": one.group,
        "of": one.of,
        "to": one.to,
        "from": instant(one.since),
        "until": instant(one.until),
        "reason": one.reason,
        "strength": one.strength,
        "counts": counts,
        "ended": bool(one.ended_at),
    }


def _days(call: Call, most: int, *, default: int) -> int:
    text = call.query.get("days", str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 3 or not 1 <= int(text) <= most:
        raise REQUEST_QUERY(f"days: a whole number of 1 to {most}")
    return int(text)


def _moment(text: str) -> UnixMillis:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        when = None
    if when is None or when.tzinfo is None or not 1970 <= when.year <= 9000:
        raise REQUEST_QUERY(f"{shown(text)} is not a time with a UTC offset such as 2026-12-24T18:00+01:00")
    return UnixMillis(round(when.timestamp() * 1000))


_MAYBE_COUNT: Final[Schema] = {"type": ["integer", "null"], "minimum": 0}
_MAYBE_INSTANT: Final[Schema] = {"type": "string", "description": "RFC 3339, UTC; empty for none"}
_STEP: Final = record({"after_seconds": COUNT, "when": TEXT, "asks": TEXT})

COMPONENTS: Final[dict[str, Schema]] = {
    "Duty": record(
        {
            "group": TEXT,
            "time_zone": TEXT,
            "first": TEXTS,
            "second": TEXTS,
            "covered": FLAG,
            "quiet_until": _MAYBE_INSTANT,
            "deputies": TEXTS,
            "delegation_days_max": COUNT,
            "steps": sequence(_STEP),
        }
    ),
    "DutyGap": record({"group": TEXT, "begins": INSTANT, "ends": INSTANT, "text": TEXT}),
    "QueueHealth": record(
        {
            "since": INSTANT,
            "asked": COUNT,
            "seen": COUNT,
            "view_p50_ms": _MAYBE_COUNT,
            "view_p95_ms": _MAYBE_COUNT,
            "expired": COUNT,
            "expired_unseen": COUNT,
            "waiting": COUNT,
            "backlog": sequence(record({"person": TEXT, "waiting": COUNT})),
        }
    ),
    "ApprovalRoute": record(
        {
            "approval": TEXT,
            "turn": TEXTS,
            "told": sequence(record({"group": TEXT, "step": COUNT})),
            "first_view_at": _MAYBE_INSTANT,
            "next_at": _MAYBE_INSTANT,
        }
    ),
    "DutyDelegation": record(
        {
            "id": TEXT,
            "group": TEXT,
            "of": TEXT,
            "to": TEXT,
            "from": INSTANT,
            "until": INSTANT,
            "reason": TEXT,
            "strength": choice(*SIGNATURES),
            "counts": FLAG,
            "ended": FLAG,
        }
    ),
}
"""In addition to those of `schemas`."""

_DAYS: Final = ("days", COUNT, "so many days")

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        id="list_duties",
        method="GET",
        path="/v1/duties",
        summary="Duties of groups, with who is on call",
        answer="Duty",
        page=True,
        query=(("at", TEXT, "at this time, RFC 3339, instead of now"), ("group", TEXT, "only of this group")),
        run=list_duties,
    ),
    Operation(
        id="list_duty_gaps",
        method="GET",
        path="/v1/duty-gaps",
        summary="Future times at which nobody of a group is on call",
        answer="DutyGap",
        page=True,
        query=(_DAYS,),
        run=list_gaps,
    ),
    Operation(
        id="show_queue_health",
        method="GET",
        path="/v1/approval-queue",
        summary="How long questions wait to be seen, which never were, and how many wait for whom",
        answer="QueueHealth",
        query=(_DAYS,),
        run=show_health,
    ),
    Operation(
        id="show_route",
        method="GET",
        path="/v1/approvals/{id}/route",
        summary="Whose turn it is to answer, who was told, and when the next ones are",
        answer="ApprovalRoute",
        run=show_route,
    ),
    Operation(
        id="list_duty_delegations",
        method="GET",
        path="/v1/duty-delegations",
        summary="Who stands in for whom",
        answer="DutyDelegation",
        page=True,
        run=list_delegations,
    ),
    Operation(
        id="delegate_duty",
        method="POST",
        path="/v1/duty-delegations",
        summary="A person lets another one stand in for them, signed",
        body="Token",
        answer="DutyDelegation",
        run=give,
    ),
    Operation(
        id="end_duty_delegation",
        method="POST",
        path="/v1/duty-delegations/{id}/end",
        summary="End a delegation of duty before its time",
        body="Nothing",
        answer="DutyDelegation",
        run=end,
    ),
)

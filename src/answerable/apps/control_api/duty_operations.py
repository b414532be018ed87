"""Duty: who is on call, gaps in coverage, the routing of an approval, and delegations of duty."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from answerable.api import duty_answers as answers
from answerable.api.members import Nothing, Page, Token
from answerable.apps.control_api.call import instant, page_of
from answerable.apps.control_api.operation import Operation, operation
from answerable.apps.control_api.schemas import COUNT, TEXT
from answerable.core.approval.approval import ApprovalId
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
    from answerable.apps.control_api.call import Call
    from answerable.core.approval.deputy_statement import DeputyStatement
    from answerable.flows.approval.notify_on_call import Gap, OnCall

DAY_MS: Final = 86_400_000
HEALTH_DAYS_MAX: Final = 90


_DAYS: Final = ("days", COUNT, "so many days")


@operation(
    "GET",
    "/v1/duties",
    id="list_duties",
    summary="Duties of groups, with who is on call",
    answer=Page[answers.Duty],
    query=(("at", TEXT, "at this time, RFC 3339, instead of now"), ("group", TEXT, "only of this group")),
)
async def list_duties(call: Call) -> Page[answers.Duty]:
    """List each duty with the people on call, now or at another time."""
    text = call.query.get("at", "")
    at = _moment(text) if text else call.walk.clock.now()
    found = on_call_now(call.walk.authority, call.walk.asking, at, group=call.query.get("group", ""))
    return page_of(call, found, name=lambda one: one.duty.group, render=_duty)


@operation(
    "GET",
    "/v1/duty-gaps",
    id="list_duty_gaps",
    summary="Future times at which nobody of a group is on call",
    answer=Page[answers.DutyGap],
    query=(_DAYS,),
)
async def list_gaps(call: Call) -> Page[answers.DutyGap]:
    """List the times at which nobody of a group is on call."""
    days = _days(call, GAP_DAYS_MAX, default=28)
    found = gaps_ahead(call.walk.authority, call.walk.asking, days=days)
    return page_of(call, found, name=lambda one: f"{one.group}@{one.begins}", render=_gap)


@operation(
    "GET",
    "/v1/approval-queue",
    id="show_queue_health",
    summary="How long questions wait to be seen, which never were, and how many wait for whom",
    answer=answers.QueueHealth,
    query=(_DAYS,),
)
async def show_health(call: Call) -> answers.QueueHealth:
    """Return how long questions wait until first viewed, and how many never were."""
    days = _days(call, HEALTH_DAYS_MAX, default=7)
    found = queue_health(
        call.walk.authority, call.walk.asking, since=UnixMillis(call.walk.clock.now() - days * DAY_MS)
    )
    return answers.QueueHealth(
        since=instant(found.since),
        asked=found.asked,
        seen=found.seen,
        view_p50_ms=found.view_p50_ms,
        view_p95_ms=found.view_p95_ms,
        expired=found.expired,
        expired_unseen=found.expired_unseen,
        waiting=found.waiting,
        backlog=tuple(answers.Backlog(person=who, waiting=count) for who, count in found.backlog),
    )


@operation(
    "GET",
    "/v1/approvals/{id}/route",
    id="show_route",
    summary="Whose turn it is to answer, who was told, and when the next ones are",
    answer=answers.ApprovalRoute,
)
async def show_route(call: Call) -> answers.ApprovalRoute:
    """Return whose turn it is to answer one approval."""
    approval = call.walk.authority.approvals.find(ApprovalId(call.path["id"]))
    if approval is None:
        raise APPROVAL_UNKNOWN(f"there is no approval {shown(call.path['id'])}")
    found = route_of(call.walk.authority, call.walk.asking, approval)
    return answers.ApprovalRoute(
        approval=approval.id,
        turn=tuple(found.turn),
        told=tuple(answers.ToldStep(group=group, step=step) for group, step in found.told),
        first_view_at=instant(found.first_view) if found.first_view is not None else "",
        next_at=instant(found.next_at) if found.next_at is not None else "",
    )


@operation(
    "GET",
    "/v1/duty-delegations",
    id="list_duty_delegations",
    summary="Who stands in for whom",
    answer=Page[answers.DutyDelegation],
)
async def list_delegations(call: Call) -> Page[answers.DutyDelegation]:
    """List the delegations that are neither ended nor removed."""
    register = call.walk.asking.duties.register
    every = register.delegations() if register is not None else ()
    standing = standing_delegations(call.walk.authority, call.walk.asking)
    return page_of(
        call, every, name=lambda one: one.id, render=lambda one: _delegation(one, counts=one.id in standing)
    )


@operation(
    "POST",
    "/v1/duty-delegations",
    id="delegate_duty",
    summary="A person lets another one stand in for them, signed",
    answer=answers.DutyDelegation,
    body=Token,
)
async def give(call: Call) -> answers.DutyDelegation:
    """Record a signed delegation of duty."""
    one = await appoint_deputy(
        call.walk.recorder, call.walk.authority, call.walk.asking, call.members("token").text("token")
    )
    return _delegation(one, counts=one.lasts(call.walk.clock.now()))


@operation(
    "POST",
    "/v1/duty-delegations/{id}/end",
    id="end_duty_delegation",
    summary="End a delegation of duty before its time",
    answer=answers.DutyDelegation,
    body=Nothing,
)
async def end(call: Call) -> answers.DutyDelegation:
    """End a delegation of duty."""
    return _delegation(
        await end_duty(call.walk.recorder, call.walk.asking.duties, call.path["id"], by=call.by), counts=False
    )


def _duty(one: OnCall) -> answers.Duty:
    return answers.Duty(
        group=one.duty.group,
        time_zone=one.duty.zone,
        first=tuple(one.first),
        second=tuple(one.second),
        covered=one.covered,
        quiet_until=instant(one.quiet_until) if one.quiet_until is not None else "",
        deputies=tuple(one.duty.deputies),
        delegation_days_max=one.duty.delegation_days_max,
        steps=tuple(
            answers.EscalationStep(
                after_seconds=step.after_seconds, when=step.when, asks=step.group or step.asks
            )
            for step in one.duty.steps
        ),
    )


def _gap(one: Gap) -> answers.DutyGap:
    return answers.DutyGap(
        group=one.group,
        begins=instant(one.begins),
        ends=instant(one.ends),
        text=one.text,
    )


def _delegation(one: DeputyStatement, *, counts: bool) -> answers.DutyDelegation:
    return answers.DutyDelegation(
        id=one.id,
        group=one.group,
        of=one.of,
        to=one.to,
        from_=instant(one.since),
        until=instant(one.until),
        reason=one.reason,
        strength=one.strength,
        counts=counts,
        ended=bool(one.ended_at),
    )


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


OPERATIONS: Final[tuple[Operation, ...]] = (
    list_duties,
    list_gaps,
    show_health,
    show_route,
    list_delegations,
    give,
    end,
)

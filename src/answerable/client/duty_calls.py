"""Operations of the control API on the subject `duty`, made by `tools/control_client.py`."""

from __future__ import annotations

from collections.abc import Iterator

from answerable.api.duty_answers import ApprovalRoute, Duty, DutyDelegation, DutyGap, QueueHealth
from answerable.api.members import Page, Token
from answerable.client.transport import (
    READ_SECONDS_MAX,
    WAIT_SECONDS_MAX,
    Transport,
    given,
    items_of,
    segment,
)


def list_duties(control: Transport, *, at: str | None = None, group: str | None = None) -> Iterator[Duty]:
    """Duties of groups, with who is on call."""
    return items_of(control, Page[Duty], "/v1/duties", query=given(at=at, group=group))


def list_duty_gaps(control: Transport, *, days: str | None = None) -> Iterator[DutyGap]:
    """Future times at which nobody of a group is on call."""
    return items_of(control, Page[DutyGap], "/v1/duty-gaps", query=given(days=days))


def show_queue_health(
    control: Transport, *, days: str | None = None, seconds_max: float = READ_SECONDS_MAX
) -> QueueHealth:
    """How long questions wait to be seen, which never were, and how many wait for whom."""
    return control.answer_as(
        QueueHealth, "GET", "/v1/approval-queue", query=given(days=days), seconds_max=seconds_max
    )


def show_route(control: Transport, id: str, *, seconds_max: float = READ_SECONDS_MAX) -> ApprovalRoute:
    """Whose turn it is to answer, who was told, and when the next ones are."""
    return control.answer_as(
        ApprovalRoute, "GET", f"/v1/approvals/{segment(id)}/route", seconds_max=seconds_max
    )


def list_duty_delegations(control: Transport) -> Iterator[DutyDelegation]:
    """Who stands in for whom."""
    return items_of(control, Page[DutyDelegation], "/v1/duty-delegations")


def delegate_duty(
    control: Transport, body: Token, *, seconds_max: float = WAIT_SECONDS_MAX
) -> DutyDelegation:
    """A person lets another one stand in for them, signed."""
    return control.answer_as(
        DutyDelegation, "POST", "/v1/duty-delegations", body=body, seconds_max=seconds_max
    )


def end_duty_delegation(
    control: Transport, id: str, *, seconds_max: float = WAIT_SECONDS_MAX
) -> DutyDelegation:
    """End a delegation of duty before its time."""
    return control.answer_as(
        DutyDelegation, "POST", f"/v1/duty-delegations/{segment(id)}/end", seconds_max=seconds_max
    )

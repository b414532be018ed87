"""Operations of the control API on the subject `approval`, made by `tools/control_client.py`."""

from __future__ import annotations

from collections.abc import Iterator

from answerable.api.approval_answers import Approval, Opening, SignedAnswer
from answerable.api.members import Page, Token
from answerable.client.transport import (
    READ_SECONDS_MAX,
    WAIT_SECONDS_MAX,
    Transport,
    given,
    items_of,
    segment,
)


def list_approvals(
    control: Transport, *, state: str | None = None, review: str | None = None
) -> Iterator[Approval]:
    """Actions that wait or waited for people, newest first."""
    return items_of(control, Page[Approval], "/v1/approvals", query=given(state=state, review=review))


def show_approval(
    control: Transport, id: str, *, whole: str | None = None, seconds_max: float = READ_SECONDS_MAX
) -> Approval:
    """One approval, with the exact action that will run."""
    return control.answer_as(
        Approval, "GET", f"/v1/approvals/{segment(id)}", query=given(whole=whole), seconds_max=seconds_max
    )


def open_approval(control: Transport, id: str, *, seconds_max: float = WAIT_SECONDS_MAX) -> Opening:
    """A nonce for one answer to this approval."""
    return control.answer_as(Opening, "POST", f"/v1/approvals/{segment(id)}/nonce", seconds_max=seconds_max)


def answer_approval(
    control: Transport, id: str, body: SignedAnswer, *, seconds_max: float = WAIT_SECONDS_MAX
) -> Approval:
    """Record a person's signed answer."""
    return control.answer_as(
        Approval, "POST", f"/v1/approvals/{segment(id)}/answer", body=body, seconds_max=seconds_max
    )


def review_glass(
    control: Transport, id: str, body: Token, *, seconds_max: float = WAIT_SECONDS_MAX
) -> Approval:
    """Record a person's signed review of a break-glass use."""
    return control.answer_as(
        Approval, "POST", f"/v1/approvals/{segment(id)}/review", body=body, seconds_max=seconds_max
    )

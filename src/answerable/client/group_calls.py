"""Operations of the control API on the subject `group`, made by `tools/control_client.py`."""

from __future__ import annotations

from collections.abc import Iterator

from answerable.api.group_answers import (
    ApprovalGroup,
    ApprovalGroupShown,
    BatchAnswered,
    BatchOpening,
    BatchSeen,
    BatchToken,
)
from answerable.api.members import Page
from answerable.client.transport import (
    READ_SECONDS_MAX,
    WAIT_SECONDS_MAX,
    Transport,
    given,
    items_of,
    segment,
)


def list_approval_groups(control: Transport) -> Iterator[ApprovalGroup]:
    """Actions that wait for people and are alike but for few, in groups."""
    return items_of(control, Page[ApprovalGroup], "/v1/approval-groups")


def show_approval_group(
    control: Transport, id: str, *, whole: str | None = None, seconds_max: float = READ_SECONDS_MAX
) -> ApprovalGroupShown:
    """One group: the odd ones and in what, then those that one signature may answer."""
    return control.answer_as(
        ApprovalGroupShown,
        "GET",
        f"/v1/approval-groups/{segment(id)}",
        query=given(whole=whole),
        seconds_max=seconds_max,
    )


def open_approval_batch(
    control: Transport, body: BatchSeen, *, seconds_max: float = WAIT_SECONDS_MAX
) -> BatchOpening:
    """A nonce for one answer to a list of approvals that are alike."""
    return control.answer_as(
        BatchOpening, "POST", "/v1/approval-batches/nonce", body=body, seconds_max=seconds_max
    )


def answer_approval_batch(
    control: Transport, body: BatchToken, *, seconds_max: float = WAIT_SECONDS_MAX
) -> BatchAnswered:
    """Record a person's signed answer to a list of approvals."""
    return control.answer_as(
        BatchAnswered, "POST", "/v1/approval-batches/answer", body=body, seconds_max=seconds_max
    )

"""Groups of similar pending approvals: list and show them, and record one signed answer to many."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, cast

from msgspec import structs

from answerable.api import group_answers as answers
from answerable.api.members import Page
from answerable.apps.control_api.approval_operations import WHOLE, approval_record
from answerable.apps.control_api.call import instant, page_of
from answerable.apps.control_api.operation import Operation, operation
from answerable.core.approval.batch import BATCH_ITEMS_MAX
from answerable.core.approval.features import pointer_of
from answerable.core.base64url import to_base64url
from answerable.errors.codes.services import REQUEST_BODY
from answerable.flows.approval.answer_many import answer_many, open_many
from answerable.flows.validity.group_waiting import group_named, groups_waiting

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Call
    from answerable.core.approval.approval_grouping import Group
    from answerable.core.approval.token import Verdict

ODD_MAX: Final = 200
"""Differing approvals of a group in one answer; each is in the list of approvals, too."""


@operation(
    "GET",
    "/v1/approval-groups",
    id="list_approval_groups",
    summary="Actions that wait for people and are alike but for few, in groups",
    answer=Page[answers.ApprovalGroup],
)
async def list_groups(call: Call) -> Page[answers.ApprovalGroup]:
    """List the groups of pending approvals, the earliest expiry first."""
    groups = sorted(
        groups_waiting(call.walk.authority.approvals, call.walk.asking.under_way, call.walk.clock).groups,
        key=lambda one: (one.ends, one.id),
    )
    return page_of(call, groups, name=lambda one: one.id, render=_summary)


@operation(
    "GET",
    "/v1/approval-groups/{id}",
    id="show_approval_group",
    summary="One group: the odd ones and in what, then those that one signature may answer",
    answer=answers.ApprovalGroupShown,
    query=WHOLE,
)
async def show_group(call: Call) -> answers.ApprovalGroupShown:
    """Return one group in full: the differing approvals first, then as many alike ones as one signature covers."""
    group = group_named(
        call.walk.authority.approvals, call.walk.asking.under_way, call.walk.clock, call.path["id"]
    )
    return answers.ApprovalGroupShown(
        **structs.asdict(_summary(group)),
        differs=tuple(
            answers.GroupDifference(label=one.label, pointer=pointer_of(one.pointer)) for one in group.differs
        ),
        odd=tuple(
            answers.OddApproval(approval=approval_record(call, one.approval), because=tuple(one.because))
            for one in group.odd[:ODD_MAX]
        ),
        alike=tuple(
            answers.AlikeApproval(approval=approval_record(call, one), cells=tuple(group.cells(one.id)))
            for one in group.alike[: min(BATCH_ITEMS_MAX, call.walk.limits.batch_items_max)]
        ),
    )


@operation(
    "POST",
    "/v1/approval-batches/nonce",
    id="open_approval_batch",
    summary="A nonce for one answer to a list of approvals that are alike",
    answer=answers.BatchOpening,
    body=answers.BatchSeen,
)
async def open_batch(call: Call) -> answers.BatchOpening:
    """Return a nonce for one answer to those of a list that may be answered together, and why the others may not."""
    body = call.members("seen", "verdict")
    opened = open_many(
        call.walk.recorder.ledger,
        call.walk.authority,
        call.walk.asking,
        call.walk.entropy,
        body.texts_by_name("seen"),
        _verdict(body.text("verdict")),
    )
    return answers.BatchOpening(
        nonce=to_base64url(opened.nonce),
        root=opened.batch.root.hex(),
        ids=tuple(one.approval for one in opened.batch.items),
        left_out={**opened.left_out},
        ends_at=instant(opened.ends),
    )


@operation(
    "POST",
    "/v1/approval-batches/answer",
    id="answer_approval_batch",
    summary="Record a person's signed answer to a list of approvals",
    answer=answers.BatchAnswered,
    body=answers.BatchToken,
)
async def give_batch(call: Call) -> answers.BatchAnswered:
    """Record a person's signed answer to a list."""
    body = call.members("ids", "token")
    ids = body.items("ids")
    if not all(isinstance(one, str) for one in ids):
        raise REQUEST_BODY("/ids: each must be the id of an approval")
    after = await answer_many(
        call.walk.recorder,
        call.walk.authority,
        call.walk.asking,
        call.walk.counters,
        [str(one) for one in ids],
        body.text("token"),
    )
    now = call.walk.clock.now()
    return answers.BatchAnswered(
        answered=tuple(
            answers.AnsweredApproval(id=one.id, state=one.state_at(now)) for one in after.answered
        ),
        left_out={**after.left_out},
    )


def _summary(group: Group) -> answers.ApprovalGroup:
    first = group.first
    card = json.loads(first.card.bytes)
    return answers.ApprovalGroup(
        id=group.id,
        agent=first.agent,
        principal=first.principal,
        mandate=first.mandate,
        capability=first.capability,
        sentence=str(card.get("sentence", "")),
        because=tuple(group.odd[0].because) if group.odd else (),
        alike_count=len(group.alike),
        odd_count=len(group.odd),
        not_together=group.not_together,
        expires_at=instant(group.ends),
    )


def _verdict(text: str) -> Verdict:
    if text not in ("approve", "deny"):
        raise REQUEST_BODY("/verdict: `approve` or `deny`")
    return cast("Verdict", text)


OPERATIONS: Final[tuple[Operation, ...]] = (
    list_groups,
    show_group,
    open_batch,
    give_batch,
)

"""Groups of similar pending approvals: list and show them, and record one signed answer to many."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, cast

from answerable.apps.control_api.approval_operations import approval_record
from answerable.apps.control_api.approval_schemas import WHOLE
from answerable.apps.control_api.call import Operation, instant, page_of
from answerable.apps.control_api.schemas import (
    COUNT,
    DIGEST,
    INSTANT,
    TEXT,
    TEXTS,
    choice,
    mapping,
    record,
    reference,
    sequence,
)
from answerable.core.approval.batch import BATCH_ITEMS_MAX
from answerable.core.approval.features import pointer_of
from answerable.core.base64url import to_base64url
from answerable.errors.codes.services import REQUEST_BODY
from answerable.flows.approval.answer_many import answer_many, open_many
from answerable.flows.validity.group_waiting import group_named, groups_waiting

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Answer, Call
    from answerable.apps.control_api.schemas import Schema
    from answerable.core.approval.approval_grouping import Group
    from answerable.core.approval.token import Verdict

ODD_MAX: Final = 200
"""Differing approvals of a group in one answer; each is in the list of approvals, too."""


async def list_groups(call: Call) -> Answer:
    """List the groups of pending approvals, the earliest expiry first."""
    groups = sorted(groups_waiting(call.walk).groups, key=lambda one: (one.ends, one.id))
    return page_of(call, groups, name=lambda one: one.id, render=_summary)


async def show_group(call: Call) -> Answer:
    """Return one group in full: the differing approvals first, then as many alike ones as one signature covers."""
    group = group_named(call.walk, call.path["id"])
    return {
        **_summary(group),
        "differs": [{"label": one.label, "pointer": pointer_of(one.pointer)} for one in group.differs],
        "odd": [
            {"approval": approval_record(call, one.approval), "because": [*one.because]}
            for one in group.odd[:ODD_MAX]
        ],
        "alike": [
            {"approval": approval_record(call, one), "cells": [*group.cells(one.id)]}
            for one in group.alike[: min(BATCH_ITEMS_MAX, call.walk.limits.batch_items_max)]
        ],
    }


async def open_batch(call: Call) -> Answer:
    """Return a nonce for one answer to those of a list that may be answered together, and why the others may not."""
    body = call.members("seen", "verdict")
    opened = open_many(call.walk, body.texts_by_name("seen"), _verdict(body.text("verdict")))
    return {
        "nonce": to_base64url(opened.nonce),
        "root": opened.batch.root.hex(),
        "ids": [one.approval for one in opened.batch.items],
        "left_out": {**opened.left_out},
        "ends_at": instant(opened.ends),
    }


async def give_batch(call: Call) -> Answer:
    """Record a person's signed answer to a list."""
    body = call.members("ids", "token")
    ids = body.items("ids")
    if not all(isinstance(one, str) for one in ids):
        raise REQUEST_BODY("/ids: each must be the id of an approval")
    after = await answer_many(call.walk, [str(one) for one in ids], body.text("token"))
    now = call.walk.clock.now()
    return {
        "answered": [{"id": one.id, "state": one.state_at(now)} for one in after.answered],
        "left_out": {**after.left_out},
    }


def _summary(group: Group) -> Answer:
    first = group.first
    card = json.loads(first.card.bytes)
    return {
        "id": group.id,
        "agent": first.agent,
        "principal": first.principal,
        "mandate": first.mandate,
        "capability": first.capability,
        "sentence": str(card.get("sentence", "")),
        "because": [*group.odd[0].because] if group.odd else [],
        "alike_count": len(group.alike),
        "odd_count": len(group.odd),
        "not_together": group.not_together,
        "expires_at": instant(group.ends),
    }


def _verdict(text: str) -> Verdict:
    if text not in ("approve", "deny"):
        raise REQUEST_BODY("/verdict: `approve` or `deny`")
    return cast("Verdict", text)


_GROUP: Final[dict[str, Schema]] = {
    "id": TEXT,
    "agent": TEXT,
    "principal": TEXT,
    "mandate": TEXT,
    "capability": TEXT,
    "sentence": TEXT,
    "because": TEXTS,
    "alike_count": COUNT,
    "odd_count": COUNT,
    "not_together": TEXT,
    "expires_at": INSTANT,
}
COMPONENTS: Final[dict[str, Schema]] = {
    "ApprovalGroup": record(_GROUP),
    "ApprovalGroupShown": record(
        {
            **_GROUP,
            "differs": sequence(record({"label": TEXT, "pointer": TEXT})),
            "odd": sequence(record({"approval": reference("Approval"), "because": TEXTS})),
            "alike": sequence(record({"approval": reference("Approval"), "cells": TEXTS})),
        }
    ),
    "BatchSeen": record({"seen": mapping(DIGEST), "verdict": choice("approve", "deny")}),
    "BatchOpening": record(
        {
            "nonce": {"type": "string", "description": "32 bytes, base64url, for one answer"},
            "root": DIGEST,
            "ids": TEXTS,
            "left_out": mapping(TEXT),
            "ends_at": INSTANT,
        }
    ),
    "BatchToken": record(
        {"ids": TEXTS, "token": {"type": "string", "description": "JWS, compact serialisation"}}
    ),
    "BatchAnswered": record(
        {"answered": sequence(record({"id": TEXT, "state": TEXT})), "left_out": mapping(TEXT)}
    ),
}

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        id="list_approval_groups",
        method="GET",
        path="/v1/approval-groups",
        summary="Actions that wait for people and are alike but for few, in groups",
        answer="ApprovalGroup",
        page=True,
        run=list_groups,
    ),
    Operation(
        id="show_approval_group",
        method="GET",
        path="/v1/approval-groups/{id}",
        summary="One group: the odd ones and in what, then those that one signature may answer",
        answer="ApprovalGroupShown",
        query=WHOLE,
        run=show_group,
    ),
    Operation(
        id="open_approval_batch",
        method="POST",
        path="/v1/approval-batches/nonce",
        summary="A nonce for one answer to a list of approvals that are alike",
        body="BatchSeen",
        answer="BatchOpening",
        run=open_batch,
    ),
    Operation(
        id="answer_approval_batch",
        method="POST",
        path="/v1/approval-batches/answer",
        summary="Record a person's signed answer to a list of approvals",
        body="BatchToken",
        answer="BatchAnswered",
        run=give_batch,
    ),
)

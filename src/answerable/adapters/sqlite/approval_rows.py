"""Encode an approval as one column: canonical JSON of all but its state, which has a column of its own."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import msgspec

from answerable.core.approval.approval import (
    NOTHING_SHOWN,
    Answer,
    Approval,
    ApprovalId,
    ApprovalState,
    Review,
)
from answerable.core.approval.attention_check import AttentionCheck
from answerable.core.approval.on_behalf_of import OnBehalfOf
from answerable.core.canonical import FrozenJSON, encode
from answerable.core.decision.facts import Requirement
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.revocation import RevocationKind, RevocationTarget
from answerable.errors.codes.approval import APPROVAL_ROW

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue


class _AnswerRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    by: str
    groups: list[str]
    verdict: Literal["approve", "deny", "break_glass"]
    comment: str
    at: int
    token: str
    credential: str = ""
    workflow: str = ""
    reason: str = ""
    narrower: str = ""
    in_place_of: dict[str, str | int] | None = None
    opened_at: int | None = None


class _ReviewRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    by: str
    verdict: Literal["justified", "unjustified"]
    comment: str
    at: int
    token: str
    credential: str = ""


class _CanaryRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    nonce: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
    wrong: Literal["recipient", "amount"]
    argument: str
    ended: Literal["caught", "let_through", "unseen", ""] = ""


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    agent: str
    mandate: str
    principal: str
    capability: str
    action: str
    requirements: list[tuple[str, int]]
    reasons: list[str]
    created_at: int
    expires_at: int
    answers: list[_AnswerRow]
    subject: str = ""
    internal: list[str] = []
    names: list[tuple[RevocationKind, str]] = []
    ended_by: str = ""
    shown: str = ""
    card: str = ""
    void_because: list[str] = []
    claimed: str = ""
    proposed: str = ""
    review: _ReviewRow | None = None
    canary: _CanaryRow | None = None


def body_of(approval: Approval) -> bytes:
    """Return the column. The action is stored as exactly the text that was frozen."""
    row: JSONValue = {
        "id": approval.id,
        "agent": approval.agent,
        "mandate": approval.mandate,
        "principal": approval.principal,
        "capability": approval.capability,
        "action": approval.action.bytes.decode("utf-8"),
        "requirements": [[need.group, need.count] for need in approval.requirements],
        "reasons": list(approval.reasons),
        "created_at": approval.created_at,
        "expires_at": approval.expires_at,
        "answers": [_answer_row(answer) for answer in approval.answers],
        **({"subject": approval.subject} if approval.subject else {}),
        **({"internal": list(approval.internal)} if approval.internal else {}),
        **({"names": [[kind, name] for kind, name in approval.names]} if approval.names else {}),
        **({"ended_by": approval.ended_by} if approval.ended_by else {}),
        **({"shown": approval.shown.bytes.decode()} if approval.shown != NOTHING_SHOWN else {}),
        **({"card": approval.card.bytes.decode()} if approval.card != NOTHING_SHOWN else {}),
        **({"void_because": list(approval.void_because)} if approval.void_because else {}),
        **({"claimed": approval.claimed} if approval.claimed else {}),
        **({"proposed": approval.proposed.bytes.decode()} if approval.proposed != NOTHING_SHOWN else {}),
        **({"review": _review_row(approval.review)} if approval.review is not None else {}),
        **({"canary": _canary_row(approval.canary)} if approval.canary is not None else {}),
    }
    return encode(row)


def from_body(body: bytes, *, state: str) -> Approval:
    """Decode the result of `body_of`. Raises Malformed (`approval.row`, `json.*`)."""
    states: tuple[ApprovalState, ...] = get_args(ApprovalState)
    known = next((known for known in states if known == state), None)
    if known is None:
        raise APPROVAL_ROW("its state is unknown")
    try:
        row = msgspec.json.decode(body, type=_Row)
    except msgspec.MsgspecError as error:
        raise APPROVAL_ROW(f"its body is damaged: {error}".lower()) from None
    return Approval(
        id=ApprovalId(row.id),
        agent=AgentId(row.agent),
        mandate=MandateId(row.mandate),
        principal=PrincipalId(row.principal),
        capability=row.capability,
        action=FrozenJSON.from_canonical(row.action.encode("utf-8")),
        requirements=tuple(Requirement(group=group, count=count) for group, count in row.requirements),
        reasons=tuple(row.reasons),
        created_at=UnixMillis(row.created_at),
        expires_at=UnixMillis(row.expires_at),
        state=known,
        answers=tuple(_answer(answer) for answer in row.answers),
        subject=row.subject,
        internal=tuple(row.internal),
        names=tuple(RevocationTarget(kind, name) for kind, name in row.names),
        ended_by=row.ended_by,
        shown=_frozen(row.shown),
        card=_frozen(row.card),
        void_because=tuple(row.void_because),
        claimed=row.claimed,
        proposed=_frozen(row.proposed),
        review=_review(row.review) if row.review is not None else None,
        canary=_canary(row.canary) if row.canary is not None else None,
    )


def _canary_row(canary: AttentionCheck) -> JSONValue:
    return {
        "nonce": canary.nonce.hex(),
        "wrong": canary.wrong,
        "argument": canary.argument,
        **({"ended": canary.ended} if canary.ended else {}),
    }


def _canary(row: _CanaryRow) -> AttentionCheck:
    return AttentionCheck(
        nonce=bytes.fromhex(row.nonce), wrong=row.wrong, argument=row.argument, ended=row.ended
    )


def _frozen(text: str) -> FrozenJSON:
    return FrozenJSON.from_canonical(text.encode()) if text else NOTHING_SHOWN


def _answer_row(answer: Answer) -> JSONValue:
    return {
        **({"credential": answer.credential} if answer.credential else {}),
        **({"reason": answer.reason} if answer.reason else {}),
        **({"narrower": answer.narrower} if answer.narrower else {}),
        **({"workflow": answer.workflow} if answer.workflow else {}),
        **({"in_place_of": {**asdict(answer.in_place_of)}} if answer.in_place_of else {}),
        **({"opened_at": answer.opened_at} if answer.opened_at is not None else {}),
        "by": answer.by,
        "groups": list(answer.groups),
        "verdict": answer.verdict,
        "comment": answer.comment,
        "at": answer.at,
        "token": answer.token,
    }


def _review_row(review: Review) -> JSONValue:
    return {
        "by": review.by,
        "verdict": review.verdict,
        "comment": review.comment,
        "at": review.at,
        "token": review.token,
        **({"credential": review.credential} if review.credential else {}),
    }


def _review(row: _ReviewRow) -> Review:
    return Review(
        by=PrincipalId(row.by),
        verdict=row.verdict,
        comment=row.comment,
        at=UnixMillis(row.at),
        token=row.token,
        credential=row.credential,
    )


def _answer(row: _AnswerRow) -> Answer:
    return Answer(
        by=PrincipalId(row.by),
        groups=tuple(row.groups),
        verdict=row.verdict,
        comment=row.comment,
        at=UnixMillis(row.at),
        token=row.token,
        credential=row.credential,
        reason=row.reason,
        narrower=row.narrower,
        workflow=row.workflow,
        in_place_of=_in_place_of(row.in_place_of) if row.in_place_of is not None else None,
        opened_at=UnixMillis(row.opened_at) if row.opened_at is not None else None,
    )


def _in_place_of(row: dict[str, str | int]) -> OnBehalfOf:
    try:
        return msgspec.convert(row, OnBehalfOf, strict=True)
    except msgspec.ValidationError as error:
        raise APPROVAL_ROW(f"in whose place it is cannot be read: {error}".lower()) from None

"""Encode the answer to a forwarded action as a message, and decode it."""

from __future__ import annotations

from typing import Final, Literal, TypeVar

import msgspec

from answerable.adapters.shard_socket.messages import Contained, Digest, Failed, Going, Greeted, Traced
from answerable.core.action.outcome import Outcome, OutcomeStatus
from answerable.core.approval.approval import Answer as PersonsAnswer
from answerable.core.approval.approval import Approval, ApprovalId, ApprovalState
from answerable.core.canonical import FrozenJSON, JSONValue, Limits, encode
from answerable.core.decision.facts import Requirement
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.ledger.answer import Answer
from answerable.core.ledger.batch_head import ReceivedHead
from answerable.core.ledger.entry import Receipt
from answerable.core.mandate.mandate import MandateId
from answerable.errors.codes.ledger import SHARD_MESSAGE


class Ended(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An outcome, as core.action.outcome.Outcome. result, used, prepared: canonical JSON, None if there is none."""

    status: OutcomeStatus
    detail: str
    result: bytes | None
    returned: dict[str, int]
    overrun: dict[str, int]
    session: dict[str, str] | None
    used: bytes | None
    prepared: bytes | None = None
    retry: bool = True


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A receipt, as core.ledger.entry.Receipt. head: its signed note, if there is one."""

    index: int
    leaf_hash: Digest
    head: bytes | None


class Given(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A person's answer. reason, narrower: absent if there is none."""

    by: str
    groups: tuple[str, ...]
    verdict: Literal["approve", "deny", "break_glass"]
    comment: str
    at: int
    token: str
    reason: str = ""
    narrower: str = ""


class Waiting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An approval, as core.approval.approval.Approval, without the names that can revoke it, which only the register
    needs."""

    id: str
    agent: str
    mandate: str
    principal: str
    capability: str
    action: bytes
    requirements: tuple[tuple[str, int], ...]
    reasons: tuple[str, ...]
    created_at: int
    expires_at: int
    state: ApprovalState
    answers: tuple[Given, ...]
    subject: str


class Answered(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag="answered",
):
    """An answer, as core.ledger.answer.Answer."""

    action_id: str
    outcome: Ended | None
    intent: Entry | None
    receipt: Entry | None
    approval: Waiting | None
    narrowed: bytes = b""


T = TypeVar("T")

_ENCODER: Final = msgspec.msgpack.Encoder()
_REPLY: Final[msgspec.msgpack.Decoder[Going | Answered | Failed]] = msgspec.msgpack.Decoder(
    Going | Answered | Failed
)
_TRACED: Final[msgspec.msgpack.Decoder[Traced | Failed]] = msgspec.msgpack.Decoder(Traced | Failed)
_CONTAINED: Final[msgspec.msgpack.Decoder[Contained | Failed]] = msgspec.msgpack.Decoder(Contained | Failed)

_GREETED: Final[msgspec.msgpack.Decoder[Greeted | Failed]] = msgspec.msgpack.Decoder(Greeted | Failed)


def answer_bytes(answer: Answer) -> bytes:
    """Encode an answer. Raises Malformed (`json.*`) for a result that is no canonical JSON, Broken for an open
    batch."""
    outcome, approval = answer.outcome, answer.approval
    return _ENCODER.encode(
        Answered(
            action_id=answer.action_id,
            outcome=None
            if outcome is None
            else Ended(
                status=outcome.status,
                detail=outcome.detail,
                result=None if outcome.result is None else encode(outcome.result),
                returned=dict(outcome.returned),
                overrun=dict(outcome.overrun),
                session=outcome.session,
                used=None if outcome.used is None else encode(outcome.used),
                prepared=None if outcome.prepared is None else encode(outcome.prepared),
                retry=outcome.retry,
            ),
            intent=_entry(answer.intent, signed=answer.receipt is None),
            receipt=_entry(answer.receipt, signed=True),
            approval=None if approval is None else _waiting(approval),
            narrowed=answer.narrowed,
        )
    )


def reply_in(message: bytes) -> Going | Answered | Failed:
    """Decode a reply to an action. Raises Malformed (`shard.message`)."""
    return _decoded(_REPLY, message)


def traced_in(message: bytes) -> Traced | Failed:
    """Decode the reply to a `Trace`. Raises Malformed (`shard.message`)."""
    return _decoded(_TRACED, message)


def contained_in(message: bytes) -> Contained | Failed:
    """Decode the reply to a `Contain`. Raises Malformed (`shard.message`)."""
    return _decoded(_CONTAINED, message)


def greeted_in(message: bytes) -> Greeted | Failed:
    """Decode the reply to a `Greet`. Raises Malformed (`shard.message`)."""
    return _decoded(_GREETED, message)


def _decoded(decoder: msgspec.msgpack.Decoder[T], message: bytes) -> T:
    try:
        return decoder.decode(message)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SHARD_MESSAGE(f"not an answer: {str(error)[:200].lower()}") from None


def answer_in(answered: Answered, log: str) -> Answer:
    """Convert the message to an Answer, with the origin of its log. Raises Malformed."""
    outcome, approval = answered.outcome, answered.approval
    return Answer(
        action_id=answered.action_id,
        outcome=None
        if outcome is None
        else Outcome(
            status=outcome.status,
            detail=outcome.detail,
            result=None if outcome.result is None else _result(outcome.result),
            returned=outcome.returned,
            overrun=outcome.overrun,
            session=outcome.session,
            used=None if outcome.used is None else _result(outcome.used),
            prepared=None if outcome.prepared is None else _result(outcome.prepared),
            retry=outcome.retry,
        ),
        intent=_receipt(answered.intent),
        receipt=_receipt(answered.receipt),
        approval=None if approval is None else _approval(approval),
        log=log,
        narrowed=_narrowed(answered.narrowed),
    )


def _narrowed(encoded: bytes) -> bytes:
    """Return arguments as canonical JSON, or nothing."""
    if not encoded:
        return b""
    return FrozenJSON.from_canonical(encoded, limits=Limits(size_bytes_max=len(encoded))).bytes


def _result(encoded: bytes) -> dict[str, JSONValue]:
    value = FrozenJSON.from_canonical(encoded, limits=Limits(size_bytes_max=max(1, len(encoded)))).thaw()
    if not isinstance(value, dict):
        raise SHARD_MESSAGE("a result must be an object")
    return value


def _entry(receipt: Receipt | None, *, signed: bool) -> Entry | None:
    """Convert a receipt. Only the newest head is sent, since creating a head costs a signature."""
    if receipt is None:
        return None
    head = receipt.head.signed() if signed and receipt.head is not None else None
    return Entry(index=receipt.index, leaf_hash=receipt.leaf_hash, head=head)


def _receipt(entry: Entry | None) -> Receipt | None:
    if entry is None:
        return None
    head = ReceivedHead(entry.head) if entry.head is not None else None
    return Receipt(index=entry.index, leaf_hash=entry.leaf_hash, head=head)


def _waiting(approval: Approval) -> Waiting:
    return Waiting(
        id=approval.id,
        agent=approval.agent,
        mandate=approval.mandate,
        principal=approval.principal,
        capability=approval.capability,
        action=approval.action.bytes,
        requirements=tuple((one.group, one.count) for one in approval.requirements),
        reasons=approval.reasons,
        created_at=approval.created_at,
        expires_at=approval.expires_at,
        state=approval.state,
        answers=tuple(
            Given(
                by=one.by,
                groups=one.groups,
                verdict=one.verdict,
                comment=one.comment,
                at=one.at,
                token=one.token,
                reason=one.reason,
                narrower=one.narrower,
            )
            for one in approval.answers
        ),
        subject=approval.subject,
    )


def _approval(waiting: Waiting) -> Approval:
    return Approval(
        id=ApprovalId(waiting.id),
        agent=AgentId(waiting.agent),
        mandate=MandateId(waiting.mandate),
        principal=PrincipalId(waiting.principal),
        capability=waiting.capability,
        action=FrozenJSON.from_canonical(waiting.action),
        requirements=tuple(Requirement(group=group, count=count) for group, count in waiting.requirements),
        reasons=waiting.reasons,
        created_at=UnixMillis(waiting.created_at),
        expires_at=UnixMillis(waiting.expires_at),
        state=waiting.state,
        answers=tuple(
            PersonsAnswer(
                by=PrincipalId(one.by),
                groups=one.groups,
                verdict=one.verdict,
                comment=one.comment,
                at=UnixMillis(one.at),
                token=one.token,
                reason=one.reason,
                narrower=one.narrower,
            )
            for one in waiting.answers
        ),
        subject=waiting.subject,
    )

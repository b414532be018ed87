"""Build the sealed fields of entries about one action: the action, the texts about it, and the details of its decision.

Under an obligation that logs digests only, the action, the originally requested action and the policy questions are
stored as digests.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.core.approval.assurance_level import CHAT
from answerable.core.approval.chat_click import is_click
from answerable.core.canonical import encode
from answerable.core.decision.obligation import duties_of

if TYPE_CHECKING:
    from answerable.core.action.request import ActionRequest, VerifiedRequest
    from answerable.core.approval.approval import Answer, Approval
    from answerable.core.canonical import JSONValue
    from answerable.core.decision.decision import Decision, Reason
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.ledger.disclosure import Field
    from answerable.core.mandate.mandate import Mandate

_CONTENTS: Final = frozenset({b"asked", b"asked_question", b"card", b"object", b"question", b"request"})


def decided_fields(verified: VerifiedRequest, decision: Decision) -> list[Field]:
    """Build the fields for the frozen action, and the decision about it."""
    request, wider = verified.request, decision.wider
    reasons = decision.reasons if wider is None else decision.all_reasons
    fields = [
        (b"request", request.action.bytes),
        *claimed_fields(request, verified.caller),
        *internal_fields(reasons),
    ]
    if verified.prepared is not None:
        fields.append((b"prepared", encode(verified.prepared.link())))
    if decision.obligations:
        fields.append((b"obligations", encode([*decision.obligations])))
    if decision.question:
        fields.append((b"question", decision.question))
    if request.asked is not None:
        fields.append((b"asked", request.asked.bytes))
    if wider is not None:
        told: JSONValue = {
            "by": [*wider.determined_by],
            "effect": wider.effect,
            "lifted": [*wider.lifted],
            "obligations": [*wider.obligations],
        }
        fields.append((b"asked_decision", encode(told)))
        if wider.question:
            fields.append((b"asked_question", wider.question))
    return _as_logged(fields, decision)


def task_fields(mandate: Mandate) -> list[Field]:
    """Build the fields for whose task it is, and for what."""
    return [(b"principal_name", encode(mandate.principal)), (b"purpose", encode(mandate.purpose))]


def is_told_in_question(decision: Decision) -> bool:
    """Whether the entry of the decision has the question, which says the same of the task as `task_fields`."""
    return bool(decision.question) and not _logs_digests(decision)


def shown_fields(decision: Decision, approval: Approval) -> list[Field]:
    """Build the fields for what people are shown and asked to sign: the action object and the card, from which the
    hashes in their answers are recomputed, and why they are asked."""
    fields = [
        (b"object", approval.shown.bytes),
        (b"card", approval.card.bytes),
        (b"reasons", encode([*approval.reasons])),
        (b"under", encode(_under(approval))),
    ]
    return _as_logged(fields, decision)


def _under(approval: Approval) -> dict[str, JSONValue]:
    """The context needed to ask the same question again: names that may be revoked, the data subject, and the groups
    that must answer."""
    return {
        "names": [[kind, name] for kind, name in approval.names],
        "requirements": [[one.group, one.count] for one in approval.requirements],
        "subject": approval.subject,
    }


def answer_fields(answer: Answer, signer: str) -> list[Field]:
    """Build the fields for a person's signed answer. signer: their public JWK; empty for a passkey, whose key is in the
    answer."""
    fields = [
        (b"groups", encode([*answer.groups])),
        *([(b"of_name", encode(answer.in_place_of.of))] if answer.in_place_of is not None else []),
        (b"comment", encode(answer.comment)),
        (b"person_name", encode(answer.by)),
        (b"token", encode(answer.token)),
    ]
    if answer.reason:
        fields.append((b"denial", encode(answer.reason)))
    if answer.narrower:
        fields.append((b"narrower", answer.narrower.encode()))
    return [*fields, (b"signer", encode(signer))] if signer else fields


def claimed_fields(request: ActionRequest, caller: VerifiedCaller) -> list[Field]:
    """Build the fields for what the agent claimed, and the digest of the message that its proof covers."""
    fields: list[Field] = [(b"message", b'"%b"' % caller.message_digest.hex().encode())]
    if request.reason:
        fields.append((b"reason", encode(request.reason)))
    return fields


def internal_fields(reasons: tuple[Reason, ...]) -> list[Field]:
    """Build the field of internal reasons, meant for people only; empty where there are none."""
    told: list[JSONValue] = [{"source": one.source, "text": one.internal} for one in reasons if one.internal]
    return [(b"internal", encode(told))] if told else []


def _as_logged(fields: list[Field], decision: Decision) -> list[Field]:
    """Return the fields with digests in place of contents, under their own names, where an obligation logs digests."""
    if not _logs_digests(decision):
        return fields
    return [
        (name + b"_digest", encode(sha256(value).hexdigest())) if name in _CONTENTS else (name, value)
        for name, value in fields
    ]


def _logs_digests(decision: Decision) -> bool:
    """Obligations that are not understood never reach this function: such actions are not performed and not asked
    about."""
    if not decision.obligations and decision.wider is None:
        return False
    return duties_of(decision.all_obligations).log == "digest"


def said_members(answer: Answer, registry: str) -> dict[str, JSONValue]:
    """Build the leaf members on how somebody answered. opened: when the server first showed this person the approval,
    Unix milliseconds; absent where unknown. strength: of an unsigned answer. workflow: the workflow that gave the
    answer, under the registry documents of this digest."""
    members: dict[str, JSONValue] = {"strength": CHAT} if is_click(answer.token) else {}
    if answer.opened_at is not None:
        members["opened"] = answer.opened_at
    if answer.workflow:
        members |= {"registry": registry, "workflow": answer.workflow}
    return members


def in_place_members(answer: Answer, of: str) -> dict[str, JSONValue]:
    """Build the leaf members that name the person on whose behalf a deputy answered, and the entry of the delegation.
    of: pseudonym of that person."""
    place = answer.in_place_of
    if place is None:
        return {}
    log: dict[str, JSONValue] = {"log": place.log} if place.log else {}
    return {
        "duty": {"delegation": place.delegation, "group": place.group, "of": of},
        "duty_ref": {"entry": place.entry, "leaf": place.leaf, **log},
    }

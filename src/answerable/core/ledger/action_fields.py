"""What entries about one action seal: the action, what was said about it, and what was decided beyond what leaves say.

Where an obligation wants digests alone, the action, the one that was asked for and the questions to policy are digests.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

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


def decided_fields(verified: VerifiedRequest, decision: Decision) -> list[Field]:
    """The action as it was frozen, who it is for and why, and the decision about it."""
    request, mandate = verified.request, verified.mandate
    digest_only = _digest_only(decision)
    fields = [
        content_field("request", request.action.bytes, digest_only=digest_only),
        (b"principal_name", encode(mandate.principal)),
        (b"purpose", encode(mandate.purpose)),
        *claimed_fields(request, verified.caller),
        *internal_fields(decision.all_reasons),
    ]
    if verified.prepared is not None:
        fields.append((b"prepared", encode(verified.prepared.link())))
    if decision.obligations:
        fields.append((b"obligations", encode([*decision.obligations])))
    if decision.question:
        fields.append(content_field("question", decision.question, digest_only=digest_only))
    if request.asked is not None:
        fields.append(content_field("asked", request.asked.bytes, digest_only=digest_only))
    wider = decision.wider
    if wider is not None:
        told: JSONValue = {
            "by": [*wider.determined_by],
            "effect": wider.effect,
            "lifted": [*wider.lifted],
            "obligations": [*wider.obligations],
        }
        fields.append((b"asked_decision", encode(told)))
        if wider.question:
            fields.append(content_field("asked_question", wider.question, digest_only=digest_only))
    return fields


def shown_fields(decision: Decision, approval: Approval) -> list[Field]:
    """What people are shown and asked to sign: the object and the card, from which the hashes in their answers are made
    again, and why they are asked."""
    digest_only = _digest_only(decision)
    return [
        content_field("object", approval.shown.bytes, digest_only=digest_only),
        content_field("card", approval.card.bytes, digest_only=digest_only),
        (b"reasons", encode([*approval.reasons])),
        (b"under", encode(_under(approval))),
    ]


def _under(approval: Approval) -> dict[str, JSONValue]:
    """What the question is under, without which nobody could ask it again as it was: names that may be revoked, whose
    data it is about, and who must answer."""
    return {
        "names": [[kind, name] for kind, name in approval.names],
        "requirements": [[one.group, one.count] for one in approval.requirements],
        "subject": approval.subject,
    }


def answer_fields(answer: Answer, signer: str) -> list[Field]:
    """What a person answered, as they signed it. signer: their public JWK; empty for a passkey, whose key is in the
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
    """What the agent claimed, and the digest of the message that its proof covers."""
    fields: list[Field] = [(b"message", b'"%b"' % caller.message_digest.hex().encode())]
    if request.reason:
        fields.append((b"reason", encode(request.reason)))
    return fields


def internal_fields(reasons: tuple[Reason, ...]) -> list[Field]:
    """Reasons for people only; none where there are none."""
    told: list[JSONValue] = [{"source": one.source, "text": one.internal} for one in reasons if one.internal]
    return [(b"internal", encode(told))] if told else []


def content_field(name: str, content: bytes, *, digest_only: bool) -> Field:
    """JSON bytes under a name, or their SHA-256 under the name of its digest."""
    if digest_only:
        return f"{name}_digest".encode(), encode(sha256(content).hexdigest())
    return name.encode(), content


def _digest_only(decision: Decision) -> bool:
    """Whatever comes here was understood, for nothing else is done or asked."""
    return duties_of(decision.all_obligations).log == "digest"


def said_members(answer: Answer, registry: str) -> dict[str, JSONValue]:
    """What the leaf says of how somebody answered. opened: when this person first had it before them, Unix
    milliseconds, as the server saw it; nothing where it did not. strength: of an answer that nobody signed. workflow:
    that gave it, by the documents of this digest."""
    members: dict[str, JSONValue] = {"strength": CHAT} if is_click(answer.token) else {}
    if answer.opened_at is not None:
        members["opened"] = answer.opened_at
    if answer.workflow:
        members |= {"registry": registry, "workflow": answer.workflow}
    return members


def in_place_members(answer: Answer, of: str) -> dict[str, JSONValue]:
    """What the leaf of an answer says of whom it was given for, and where that is on record. of: pseudonym."""
    place = answer.in_place_of
    if place is None:
        return {}
    log: dict[str, JSONValue] = {"log": place.log} if place.log else {}
    return {
        "duty": {"delegation": place.delegation, "group": place.group, "of": of},
        "duty_ref": {"entry": place.entry, "leaf": place.leaf, **log},
    }

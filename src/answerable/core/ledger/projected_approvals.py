"""Rebuild the state of approvals from the ledger: requested, answered, void, used, reviewed, or denied by a stop.

Laws, in addition to those of every projection: an approving answer counts only with a valid signature under a key its
signer had then, and only up to the number that the approval requires; an approval that cannot be rebuilt as it was
requested, or with an unsigned approving answer, becomes void, so that people are asked again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from answerable.core.approval.approval import NOTHING_SHOWN, Approval, ApprovalId, Review
from answerable.core.approval.attention_check import CANARY_ENDS, NONCE_BYTES, WRONGS, AttentionCheck
from answerable.core.approval.emergency_access import GLASS
from answerable.core.approval.review import JUDGEMENTS
from answerable.core.canonical import freeze
from answerable.core.decision.facts import Requirement
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.ledger.projected import octets_in
from answerable.core.ledger.projected_answers import answer_fault, answer_in, credential_in
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.revocation import REVOCATION_KINDS, RevocationTarget
from answerable.errors.codes.approval import APPROVAL_CANARY, REVIEW_MALFORMED

if TYPE_CHECKING:
    from answerable.core.approval.approval import ApprovalState
    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.projected import Told

APPROVAL_TAGS: Final = frozenset(
    {
        Tag.APPROVAL_ASKED,
        Tag.APPROVAL_ANSWER,
        Tag.APPROVAL_VOID,
        Tag.CANARY_TOLD,
        Tag.GLASS_REVIEWED,
        Tag.HOLD_PLACED,
        Tag.INTENT,
        Tag.MANDATE_CLOSED,
        Tag.REVOKED,
    }
)
ENDED: Final = frozenset({"denied", "expired", "used", "void"})
UNREADABLE: Final = "what the ledger still lets be read of it"
UNSIGNED: Final = "an answer whose signature does not check any more"
_KINDS: Final = {str(kind): kind for kind in REVOCATION_KINDS}
_STOPS: Final = frozenset({Tag.HOLD_PLACED, Tag.MANDATE_CLOSED, Tag.REVOKED})


def approvals_in(told: Told) -> tuple[str, ...]:
    """Return the ids of the approvals that an entry concerns."""
    if told.tag in _STOPS:
        return tuple(one for one in _list(told.leaf.get("approvals")) if isinstance(one, str))
    name = told.leaf.get("approval")
    return (name,) if isinstance(name, str) and name else ()


def approval_after(known: Approval | None, told: Told) -> Approval | None:
    """Return the approval after an entry; None for an unknown approval.

    Raises Malformed and Unverified for an approval that no version of ours wrote.
    """
    if told.tag == Tag.APPROVAL_ASKED:
        return known or _asked(told)
    if known is None:
        return None
    if told.tag == Tag.INTENT:
        return known if known.state == "used" else replace(known, state="used")
    if told.tag == Tag.CANARY_TOLD:
        return _told_test(known, told)
    if told.tag == Tag.GLASS_REVIEWED:
        return known if known.review is not None else replace(known, review=_review(told))
    if told.tag == Tag.APPROVAL_ANSWER:
        return _answered(known, told)
    if known.state in ENDED:
        return known
    if told.tag == Tag.APPROVAL_VOID:
        return replace(known, state="void", void_because=_texts(told.leaf.get("because")))
    by = told.leaf.get("hold") if told.tag == Tag.HOLD_PLACED else ""
    return replace(known, state="denied", ended_by=str(by or ""))


def _answered(known: Approval, told: Told) -> Approval:
    answer = answer_in(told)
    if answer is None:
        # Erased fields: an approving answer without a name does not count, but a denial still ended the approval.
        is_ended = told.leaf.get("state") == "denied" and known.state == "pending"
        return replace(known, state="denied") if is_ended else known
    if any(one.token == answer.token for one in known.answers):
        return known
    if known.state in ENDED:
        return replace(known, answers=(*known.answers, answer)) if answer.verdict == "deny" else known
    if answer.verdict == "deny":
        proposed = (told.fields or {}).get("proposed")
        denied = replace(known, answers=(*known.answers, answer), state="denied")
        return replace(denied, proposed=freeze(proposed)) if proposed is not None else denied
    if answer_fault(answer, known, told):
        return replace(known, state="void", void_because=(UNSIGNED,))
    after = replace(known, answers=(*known.answers, answer))
    if answer.verdict == GLASS:
        ends = UnixMillis(min(known.expires_at, told.whole("runs_until") or known.expires_at))
        return replace(after, state="approved", expires_at=ends)
    fact = after.fact()
    met = told.leaf.get("state") == "approved" and all(fact.meets(one) for one in after.requirements)
    return replace(after, state="approved") if met and known.state == "pending" else after


def _asked(told: Told) -> Approval:
    said, leaf = told.fields or {}, told.leaf
    under, action, shown, card = (said.get(one) for one in ("under", "action", "object", "card"))
    asked_of = under if isinstance(under, dict) else {}
    requirements = _requirements(asked_of.get("requirements", leaf.get("requirements")))
    names = _names(asked_of.get("names"))
    is_told = None not in (action, shown, card, requirements, names)
    is_whole = is_told and "commitment" not in leaf
    return Approval(
        id=ApprovalId(str(leaf.get("approval"))),
        agent=AgentId(str(leaf.get("agent"))),
        mandate=MandateId(str(leaf.get("mandate"))),
        principal=PrincipalId(told.text("principal") or f"erased:{leaf.get('principal')}"),
        capability=str(leaf.get("capability")),
        action=freeze(action) if action is not None else NOTHING_SHOWN,
        requirements=requirements or (),
        reasons=_texts(said.get("reasons")),
        created_at=UnixMillis(told.whole("at")),
        expires_at=UnixMillis(told.whole("expires")),
        state="pending" if is_whole else "void",
        subject=str(asked_of.get("subject") or ""),
        internal=tuple(str(one.get("text")) for one in _list(said.get("internal")) if isinstance(one, dict)),
        names=names or (),
        shown=freeze(shown) if shown is not None else NOTHING_SHOWN,
        card=freeze(card) if card is not None else NOTHING_SHOWN,
        void_because=() if is_whole else (UNREADABLE,),
        claimed=told.text("reason"),
    )


def _told_test(known: Approval, told: Told) -> Approval:
    if known.canary is not None and known.canary.ended:
        return known
    leaf, answer = told.leaf, answer_in(told) if told.leaf.get("verdict") else None
    wrong = next((one for one in WRONGS if one == leaf.get("wrong")), None)
    ended = next((one for one in CANARY_ENDS if one == leaf.get("ended")), None)
    nonce = octets_in(leaf.get("nonce"), NONCE_BYTES)
    if wrong is None or ended is None or nonce is None:
        raise APPROVAL_CANARY(f"entry {told.index} tells of no test that is one")
    canary = AttentionCheck(nonce=nonce, wrong=wrong, argument=str(leaf.get("argument")), ended=ended)
    answers = (*known.answers, answer) if answer is not None else known.answers
    return replace(known, state="void", answers=answers, canary=canary)


def _review(told: Told) -> Review:
    token = told.text("token")
    verdict = next((one for one in JUDGEMENTS if one == told.leaf.get("verdict")), None)
    if verdict is None:
        raise REVIEW_MALFORMED(f"entry {told.index} judges nothing")
    return Review(
        by=PrincipalId(told.text("person") or f"erased:{told.leaf.get('person')}"),
        verdict=verdict,
        comment=told.text("comment"),
        at=UnixMillis(told.whole("at")),
        token=token,
        credential=credential_in(token),
    )


def _requirements(value: JSONValue) -> tuple[Requirement, ...] | None:
    """Return the required groups and counts; None unless all of it can be read."""
    found: list[Requirement] = []
    for one in value if isinstance(value, list) else (None,):
        match one:
            case [str(group), int(count)]:
                found.append(Requirement(group=group, count=count))
            case _:
                return None
    return tuple(found)


def _names(value: JSONValue) -> tuple[RevocationTarget, ...] | None:
    """Return the names that may be revoked; None unless all of it can be read."""
    found: list[RevocationTarget] = []
    for one in value if isinstance(value, list) else (None,):
        match one:
            case [str(kind), str(name)] if (known := _KINDS.get(kind)) is not None:
                found.append(RevocationTarget(known, name))
            case _:
                return None
    return tuple(found)


def more_ended(live: ApprovalState, told: ApprovalState) -> ApprovalState:
    """Of two states of one approval return the more restrictive one."""
    return live if live in ENDED and told not in ENDED else told


def _texts(value: JSONValue) -> tuple[str, ...]:
    return tuple(map(str, _list(value)))


def _list(value: JSONValue) -> list[JSONValue]:
    return value if isinstance(value, list) else []

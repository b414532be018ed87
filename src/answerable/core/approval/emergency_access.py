"""Breaking the glass: one person lets a waiting action run without the quorum, for a reason, and owes a review of it.

Laws: only whom the rule names by `@break_glass` may, and only where every rule in the way names somebody; nobody does
it for a task or an agent of their own; it is a verdict of its own, with a challenge of its own, so that no yes becomes
one; it lasts minutes, serves one run, and lifts nothing but what a quorum would; another person looks at it afterwards,
whether it ran or not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal

from answerable.core.approval.action_object import object_in
from answerable.core.approval.approval import answered
from answerable.core.decision.facts import OR
from answerable.core.identity.names.principal import UnixMillis
from answerable.errors import Malformed
from answerable.errors.codes.approval import (
    APPROVAL_NOT_PENDING,
    APPROVAL_OWN_MANDATE,
    BREAK_GLASS_NO_REASON,
    BREAK_GLASS_NOT_ALLOWED,
)

if TYPE_CHECKING:
    from answerable.core.approval.approval import Answer, Approval

REASON_CHARS_MIN: Final = 20
"""A reason that another person can judge has a few words."""
GLASS: Final = "break_glass"
ReviewState = Literal["owed", "overdue", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """A review that is owed. by: who broke the glass. due_at: until when, Unix milliseconds."""

    approval: Approval
    answer: Answer
    due_at: UnixMillis

    def state(self, now: UnixMillis) -> ReviewState:
        """How it stands."""
        if self.approval.review is not None:
            return "done"
        return "overdue" if now >= self.due_at else "owed"


def may_break(approval: Approval) -> tuple[str, ...]:
    """Groups, as the object says them: of each entry one must be a person's. Empty where nobody may."""
    try:
        named = object_in(approval.shown).get(GLASS)
    except Malformed:
        return ()
    return tuple(str(one) for one in named) if isinstance(named, list) else ()


def taken(approval: Approval, answer: Answer, *, glass_ms: int) -> Approval:
    """The approval after one more answer, of whatever kind. glass_ms: how long it may run after the glass was broken.

    Raises Refused as `answered`, and `break_glass.not_allowed`, `break_glass.no_reason`.
    """
    if answer.verdict != GLASS:
        return answered(approval, answer)
    state = approval.state_at(answer.at)
    if state != "pending":
        raise APPROVAL_NOT_PENDING(f"approval {approval.id} is {state}: there is no glass to break")
    if answer.by == approval.principal:
        raise APPROVAL_OWN_MANDATE(
            "you issued the mandate this action runs under: somebody else must decide it"
        )
    asked = may_break(approval)
    if answer.workflow or not asked or not all(set(one.split(OR)) & set(answer.groups) for one in asked):
        who = " and ".join(asked) or "nobody"
        raise BREAK_GLASS_NOT_ALLOWED(
            f"by the rules that ask here, {who} may let this run without the quorum"
        )
    if len(answer.comment.strip()) < REASON_CHARS_MIN:
        raise BREAK_GLASS_NO_REASON(
            f"say why in at least {REASON_CHARS_MIN} characters: another person will judge it by that"
        )
    ends = UnixMillis(min(approval.expires_at, answer.at + glass_ms))
    return replace(approval, answers=(*approval.answers, answer), state="approved", expires_at=ends)


def owed_review(approval: Approval, *, review_ms: int) -> Owed | None:
    """The review of this approval, owed or done; None where no glass was broken, or of a test, by which nothing ran."""
    answer = broken_by(approval)
    if answer is None or approval.canary is not None:
        return None
    return Owed(approval=approval, answer=answer, due_at=UnixMillis(answer.at + review_ms))


def broken_by(approval: Approval) -> Answer | None:
    """The answer that broke the glass; None where none did."""
    return next((one for one in approval.answers if one.verdict == GLASS), None)


def answer_digest(answer: Answer) -> str:
    """SHA-256, hex, of what was signed, by which a review names what it is about."""
    return sha256(answer.token.encode()).hexdigest()

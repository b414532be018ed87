"""Emergency access ("break glass"): one person lets a pending action run without the quorum, with a reason and a later
review.

Laws: only people named by the rule's `@break_glass` may, and only where every rule that requires approval names
somebody; never for one's own task or agent; it is a separate verdict with a separate challenge, so that no approval can
be turned into one; it lasts minutes, allows one run, and lifts only what a quorum would; another person reviews it
afterwards, whether the action ran or not.
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
"""Minimum length of a reason that another person can judge."""
GLASS: Final = "break_glass"
ReviewState = Literal["owed", "overdue", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """A required review. by: who used emergency access. due_at: deadline, Unix milliseconds."""

    approval: Approval
    answer: Answer
    due_at: UnixMillis

    def state(self, now: UnixMillis) -> ReviewState:
        """Return the state of the review."""
        if self.approval.review is not None:
            return "done"
        return "overdue" if now >= self.due_at else "owed"


def may_break(approval: Approval) -> tuple[str, ...]:
    """Return the groups that the object names for emergency access: one of each entry must be among the person's
    groups. Empty where nobody may."""
    try:
        named = object_in(approval.shown).get(GLASS)
    except Malformed:
        return ()
    return tuple(str(one) for one in named) if isinstance(named, list) else ()


def taken(approval: Approval, answer: Answer, *, glass_ms: int) -> Approval:
    """Return the approval after one more answer of any kind. glass_ms: how long the action may run after emergency
    access.

    Raises Refused as `answered`, and `break_glass.not_allowed`, `break_glass.no_reason`.
    """
    if answer.verdict != GLASS:
        return answered(approval, answer)
    state = approval.state_at(answer.at)
    if state != "pending":
        raise APPROVAL_NOT_PENDING(f"approval {approval.id} is {state}, so break-glass is not possible")
    if answer.by == approval.principal:
        raise APPROVAL_OWN_MANDATE("you issued the mandate of this action: another person must decide it")
    asked = may_break(approval)
    if answer.workflow or not asked or not all(set(one.split(OR)) & set(answer.groups) for one in asked):
        who = " and ".join(asked) or "nobody"
        raise BREAK_GLASS_NOT_ALLOWED(f"by the policies of this approval, {who} may use break-glass")
    if len(answer.comment.strip()) < REASON_CHARS_MIN:
        raise BREAK_GLASS_NO_REASON(
            f"give a reason of at least {REASON_CHARS_MIN} characters, which another person will review"
        )
    ends = UnixMillis(min(approval.expires_at, answer.at + glass_ms))
    return replace(approval, answers=(*approval.answers, answer), state="approved", expires_at=ends)


def owed_review(approval: Approval, *, review_ms: int) -> Owed | None:
    """Return the review of this approval, due or done; None without emergency access, or for a test, by which nothing
    ran."""
    answer = broken_by(approval)
    if answer is None or approval.canary is not None:
        return None
    return Owed(approval=approval, answer=answer, due_at=UnixMillis(answer.at + review_ms))


def broken_by(approval: Approval) -> Answer | None:
    """Return the answer that used emergency access; None where there is none."""
    return next((one for one in approval.answers if one.verdict == GLASS), None)


def answer_digest(answer: Answer) -> str:
    """Return the SHA-256, hex, of the signed answer, by which a review refers to it."""
    return sha256(answer.token.encode()).hexdigest()

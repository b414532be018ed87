"""List the uses of break-glass access that need another person's review, and notify people of each use."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from answerable.core.approval.emergency_access import may_break, owed_review
from answerable.core.approval.notice import Notice
from answerable.core.decision.facts import OR

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval
    from answerable.core.approval.emergency_access import Owed
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.approval_channel import ApprovalChannel
    from answerable.ports.approval_register import ApprovalRegister
    from answerable.ports.clock import Clock


def reviews(
    approvals: ApprovalRegister, limits: WalkLimits, clock: Clock, *, open_only: bool = True
) -> list[Owed]:
    """Return every use of break-glass access whose review is owed, the earliest due first. With open_only false,
    include those already reviewed. Raises Unavailable."""
    found = (
        owed_review(one, review_ms=limits.glass_review_ms)
        for one in approvals.all(pending_only=False, now=clock.now())
    )
    wanted = [one for one in found if one is not None and not (open_only and one.approval.review)]
    return sorted(wanted, key=lambda one: one.due_at)


def counted_reviews(approvals: ApprovalRegister, limits: WalkLimits, clock: Clock) -> dict[str, int]:
    """Return how many reviews are owed and how many are overdue; each counts in one of the two. Raises Unavailable."""
    now = clock.now()
    states = [one.state(now) for one in reviews(approvals, limits, clock)]
    return {state: states.count(state) for state in ("owed", "overdue")}


def answering_groups(approval: Approval) -> tuple[str, ...]:
    """Return the groups whose people could have answered it, by the quorum or alone."""
    asked = (group for one in approval.requirements for group in one.groups)
    alone = (group for one in may_break(approval) for group in one.split(OR))
    return tuple(dict.fromkeys((*asked, *alone)))


def tell_broken(channel: ApprovalChannel, clock: Clock, approval: Approval, index: int) -> None:
    """Notify everybody who could have answered. index: of the ledger entry of this use, which is durable: a channel
    that fails changes nothing."""
    for group in answering_groups(approval):
        notice = Notice(
            group=group,
            agent=approval.agent,
            mandate=approval.mandate,
            capability=approval.capability,
            action_id=approval.id,
            intent=index,
            at=clock.now(),
            what="glass",
        )
        with suppress(Exception):
            channel.notify(notice)

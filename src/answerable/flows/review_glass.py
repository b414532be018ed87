"""Another person reviews a broken glass, signed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from answerable.core.approval.approval import ApprovalId, Review
from answerable.core.approval.break_glass import broken_by, owed_review
from answerable.core.approval.review import check_reviewer, verify_review
from answerable.core.ledger import records_reviews
from answerable.core.ledger.subject import principal_subject
from answerable.errors import Refused, shown
from answerable.flows.answer_approval import agent_owners
from answerable.flows.mandate_standing import schedule_owner
from answerable.flows.owed_reviews import answering_groups
from answerable.flows.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.flows.refuse_revoked import signer_fault, signing_key_of

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval
    from answerable.flows.walk import Walk


async def review_glass(walk: Walk, approval_id: str, token: str) -> Approval:
    """Verify and record a review; returns the approval as it stands afterwards.

    Raises Unverified when the signature or its claims do not check, Refused (`approval.unknown`, `review.*`,
    `approval.changed_meanwhile`, `revoked.*`, `held.*`), Unavailable.
    """
    now = walk.clock.now()
    approval = walk.approvals.find(ApprovalId(approval_id))
    if approval is None:
        raise Refused(f"there is no approval {shown(approval_id)}", code="approval.unknown")
    broken = broken_by(approval)
    owed = owed_review(approval, review_ms=walk.limits.glass_review_ms)
    if broken is None or owed is None:
        raise Refused("no glass was broken here: there is nothing to review", code="review.not_owed")
    people = walk.registry.current.principals
    said = verify_review(
        token,
        keys_of=lambda name: people[name].keys if name in people else (),
        audience=walk.ledger.origin,
        approval=approval,
        answer=broken,
        now=now,
    )
    key = signing_key_of(token)
    fault = signer_fault(walk, said.by, key)
    if fault is not None:
        raise fault
    review = Review(by=said.by, verdict=said.verdict, comment=said.comment, at=now, token=token)
    involved = {schedule_owner(approval.principal, walk.registry.current), *agent_owners(walk, approval)}
    if review.by in involved:
        raise Refused(
            "you own an agent or the schedule of this: another person reviews it", code="review.own"
        )
    check_reviewer(
        approval,
        review,
        broken=broken,
        groups=people[review.by].groups,
        asked=answering_groups(approval),
    )
    # 1. In the ledger before it counts. A crash after this line: the person reviews again.
    entry = records_reviews.glass_reviewed(
        approval,
        review,
        at=now,
        sealing=sealing_for(walk, principal_subject(review.by)),
        person=pseudonym_of(walk, review.by),
        signer=next(one.jwk for one in people[review.by].keys if one.thumbprint == key),
        late=owed.state(now) == "overdue",
    )
    _, left = await record_entry(walk, entry)
    # 2. It counts only on top of what was seen: one that is used meanwhile is looked at again.
    after = replace(approval, review=review)
    if not walk.approvals.replace(after, was=approval):
        after = _again(walk, approval, review)
    if left is not None:
        raise left
    return after


def _again(walk: Walk, approval: Approval, review: Review) -> Approval:
    """What was reviewed ran, or ran out, at the same moment; another review of it does not count twice."""
    found = walk.approvals.find(approval.id)
    if found is not None and found.review is None:
        after = replace(found, review=review)
        if walk.approvals.replace(after, was=found):
            return after
    raise Refused(
        "somebody else changed it at the same moment: look again", code="approval.changed_meanwhile"
    )

"""How fast a person says yes: so many times within an hour, and not before they have looked.

A no is bound by neither. Who has said yes too often within an hour can still say no; another person answers the rest.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from answerable.core.approval.batch_answer import root_in
from answerable.core.approval.strength import tier_shown
from answerable.errors import Refused
from answerable.flows.asking_budget import HOUR_MILLIS

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval
    from answerable.core.approval.token import Verdict
    from answerable.core.identity.principal import PrincipalId, UnixMillis
    from answerable.flows.walk import Walk


def check_pace(walk: Walk, person: PrincipalId, verdict: Verdict, now: UnixMillis) -> None:
    """Whether this person may say yes once more within this hour; one signature over many counts once.

    Raises Refused (`approval.too_fast`), Unavailable.
    """
    if verdict != "approve":
        return
    # No answer comes in later than its approval ends.
    oldest = now - HOUR_MILLIS - walk.limits.approval_ttl_ms
    recent = takewhile(lambda one: one.created_at > oldest, walk.approvals.all(pending_only=False, now=now))
    said = {
        root_in(answer.token) or approval.id
        for approval in recent
        for answer in approval.answers
        if answer.by == person and answer.verdict == "approve" and answer.at > now - HOUR_MILLIS
    }
    # What is on its way into the ledger is said, too: else all that comes at one moment would be.
    said |= {what for who, what in walk.under_way.saying.values() if who == person}
    if len(said) >= walk.limits.answers_per_hour_max:
        raise Refused(
            f"you said yes {len(said)} times within an hour, which is the limit: let somebody else answer, or say no",
            code="approval.too_fast",
        )


def check_look(
    walk: Walk,
    approval: Approval,
    *,
    person: PrincipalId,
    verdict: Verdict,
    opened_at: UnixMillis,
    now: UnixMillis,
) -> None:
    """Whether they had it before them long enough for its tier to say yes. opened_at: when the nonce was given.

    Raises Refused (`approval.too_soon`).
    """
    needed = walk.limits.look_seconds_min[tier_shown(approval)]
    looked = now - walk.under_way.looks.since(person, approval.id, opened_at)
    if verdict == "approve" and looked < needed * 1000:
        raise Refused(
            f"you looked for {looked // 1000} s; an action of this tier asks for {needed} s first: read it",
            code="approval.too_soon",
        )

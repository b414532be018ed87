"""What was approved is what runs: the action as it would run now, held against what people were shown.

Arguments are matched by their digest before anything comes here. This is about the rest: the chain, the tool, what the
agent is made of, the amounts, and the rules that an approval would lift.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from answerable.core.approval.action_object import changed_since
from answerable.core.approval.approval import NOTHING_SHOWN, ApprovalId
from answerable.core.mandate.spend import money_moved

if TYPE_CHECKING:
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.approval.approval import Approval
    from answerable.core.decision.decision import Decision
    from answerable.core.decision.facts import Facts
    from answerable.flows.walk import Walk


def unlike_shown(approval: Approval, verified: VerifiedRequest, decision: Decision) -> tuple[str, ...]:
    """What of the action is not as this approval showed it, in words; empty where all is. Raises Refused."""
    if approval.shown == NOTHING_SHOWN:
        return ("how people are asked",)
    amounts = money_moved(verified.resolved.capability, verified.arguments)
    other = changed_since(approval.shown, verified, decision, amounts)
    if decision.effect == "defer" and set(approval.requirements) != set(decision.requirements):
        other = (*other, "who is asked")
    return other


def voided(walk: Walk, facts: Facts, verified: VerifiedRequest, decision: Decision) -> bool:
    """Whether the approval by which this would be allowed was for something else, and is void from now on.

    Raises Unavailable.
    """
    if facts.approval is None:
        return False
    approval = walk.approvals.find(ApprovalId(facts.approval.id))
    if approval is None:
        return False
    other = unlike_shown(approval, verified, decision)
    if other:
        void(walk, approval, other)
    return bool(other)


def void(walk: Walk, approval: Approval, because: tuple[str, ...]) -> None:
    """It answers nothing any more. Whoever changed it at the same moment goes first: it is looked at again in any case.

    Raises Unavailable.
    """
    walk.approvals.replace(replace(approval, state="void", void_because=because), was=approval)

"""Say what became of an approval."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from answerable.api.approval_answers import AnswerGiven, Approval


def heading(state: str) -> str:
    """Return what the action is that people are shown, in this state."""
    return "exactly this will run:" if state in ("pending", "approved") else "exactly this was asked:"


def stopped_by(approval: Approval) -> str:
    """Return what denied it where no person did."""
    if approval.state != "denied" or any(one.verdict == "deny" for one in approval.answers):
        return ""
    which = f"hold {approval.ended_by}" if approval.ended_by else "a revocation, or the end of its mandate"
    return f"{which}: see `answerable timeline {approval.id}`"


def said(answer: AnswerGiven) -> str:
    """Return who answered, how and why."""
    words = (
        answer.reason,
        answer.comment,
        f"instead {answer.narrower}" if answer.narrower else "",
    )
    told = ", ".join(one for one in words if one)
    who = f"workflow {answer.workflow} of {answer.by}" if answer.workflow else answer.by
    place = f", for {answer.in_place_of}," if answer.in_place_of else ""
    what = "broke the glass" if answer.verdict == "break_glass" else f"said {answer.verdict}"
    what += "" if answer.signed else " by a click in a chat, not signed,"
    return f"{who}{place} {what} at {answer.at}{f': {told}' if told else ''}"

"""Describe a denial for the agent, as members for programs and as sentences for models.

Laws: no name of a person, only the groups that were asked; words of people are data, made visible and bounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.approval.approval import NOTHING_SHOWN
from answerable.core.approval.reasons import denial_reason
from answerable.core.approval.visible import visible
from answerable.core.approval.words import COMMENT_CHARS_MAX

if TYPE_CHECKING:
    from answerable.core.approval.approval import Answer, Approval
    from answerable.core.canonical import FrozenJSON, JSONValue

_PROPOSAL_CHARS_MAX: Final = 500


def denial_members(approval: Approval) -> dict[str, JSONValue]:
    """Return the members of an approval that people denied. Times are Unix milliseconds; `not_before` is present where
    waiting helps, `narrower` where a narrower action was proposed: all arguments, and the changed ones."""
    said = _no_of(approval)
    why = denial_reason(said.reason if said is not None else "")
    members: dict[str, JSONValue] = {
        "advice": why.advice,
        "approval": approval.id,
        "comment": comment_told(said.comment) if said is not None else "",
        "groups": [*_groups(approval, said)],
        "reason": why.code,
        "retry": why.retry,
        "state": "denied",
    }
    if why.retry == "later":
        members["not_before"] = approval.expires_at
    if approval.proposed != NOTHING_SHOWN:
        after, before = _arguments(approval.proposed), _arguments(approval.action)
        changed = {name: value for name, value in after.items() if value != before.get(name)}
        members["narrower"] = {"arguments": after, "changed": changed}
    return members


def denial_sentences(approval: Approval) -> tuple[str, ...]:
    """Return the same for a model that reads text."""
    said = _no_of(approval)
    why = denial_reason(said.reason if said is not None else "")
    comment = comment_told(said.comment) if said is not None else ""
    narrower = visible(said.narrower)[:_PROPOSAL_CHARS_MAX] if said is not None else ""
    told = (comment, f"narrower: {narrower}" if narrower else "")
    return (f"denied by people: {why.label}", why.advice, *(one for one in told if one))


def comment_told(comment: str) -> str:
    """Return the comment on one line, with invisible characters spelled out, cut to the maximum length of a comment."""
    text = visible(comment)
    return text if len(text) <= COMMENT_CHARS_MAX else f"{text[: COMMENT_CHARS_MAX - 1]}…"


def _arguments(action: FrozenJSON) -> dict[str, JSONValue]:
    value = action.thaw()
    own = value.get("arguments") if isinstance(value, dict) else None
    return own if isinstance(own, dict) else {}


def _no_of(approval: Approval) -> Answer | None:
    return next((one for one in approval.answers if one.verdict == "deny"), None)


def _groups(approval: Approval, said: Answer | None) -> list[str]:
    """Return the groups of the denying person that were asked."""
    asked = {group for one in approval.requirements for group in one.groups}
    return sorted(asked & set(said.groups)) if said is not None else []

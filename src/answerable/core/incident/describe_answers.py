"""Describe entries about answers to approvals, reviews of emergency access, void approvals and tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.approval.reasons import denial_reason
from answerable.core.incident.describe_on_call import answered_for
from answerable.core.incident.wording import named, plain, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

CLICKED: Final = "attributed, not signed: this log's server says that a chat said that they clicked"
_VERBS: Final = {"approve": "approved", "deny": "denied", "break_glass": "broke the glass of"}


def answer_told(
    leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    """Describe an answer: who, verdict, reason, comment, proposal, and the resulting state of the approval."""
    verb = _VERBS.get(str(leaf.get("verdict")), "answered")
    person, approval = named("person", leaf, payload), short(leaf.get("approval"))
    if leaf.get("workflow"):
        person = f"Workflow {plain(leaf['workflow'])} of {person}"
    text = f"{person}{answered_for(leaf)} {verb} approval {approval}, which is now {leaf.get('state')}."
    details: list[str] = []
    code, comment = payload.get("denial"), payload.get("comment")
    if code:
        details.append(f"because: {denial_reason(str(code)).label}")
    if comment:
        details.append(f"comment: {plain(comment)}")
    if payload.get("narrower") is not None:
        details.append(f"less was proposed instead: {plain(payload['narrower'])}")
    opened, at = leaf.get("opened"), leaf.get("at")
    if isinstance(opened, int) and isinstance(at, int):
        details.append(f"it was first shown to them {_time_told(at - opened)} the answer, as the server says")
    digest = short(payload.get("digest", leaf.get("digest")))
    how = f"{CLICKED}; of action digest" if _is_unsigned(leaf) else "signed over action digest"
    return text, (*details, f"{how} {digest}")


def _time_told(millis: int) -> str:
    return f"{millis / 1000:.1f} s before" if millis >= 100 else "less than 0.1 s before"


def void_told(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> tuple[str, tuple[str, ...]]:
    """Describe why an approval can no longer be used."""
    del payload
    told = leaf.get("because")
    because = " and ".join(plain(one) for one in told) if isinstance(told, list) else "something"
    return (
        f"Approval {short(leaf.get('approval'))} is void: {because} changed since people were shown it.",
        (),
    )


def glass_reviewed_told(
    leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    """Describe the review of an emergency access."""
    person, approval = named("person", leaf, payload), short(leaf.get("approval"))
    late = ", late" if leaf.get("late") else ""
    text = f"{person} found the broken glass of approval {approval} {plain(leaf.get('verdict'))}{late}."
    comment = payload.get("comment")
    return text, (f"comment: {plain(comment)}",) if comment else ()


def canary_told(
    leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    """Describe a revealed test: what was wrong with it, and whether anybody noticed."""
    ends = {"caught": "caught it", "let_through": "let it through"}
    how = ends.get(str(leaf.get("ended")))
    seen = f"{named('person', leaf, payload)} {how}" if how is not None else "nobody answered it"
    text = (
        f"Approval {short(leaf.get('approval'))} was a test: agent {plain(leaf.get('agent'))} never asked for it;"
        f" {seen}."
    )
    details = [f"made wrong: the {plain(leaf.get('wrong'))}, in {plain(leaf.get('argument'))}"]
    comment = payload.get("comment")
    if comment:
        details.insert(0, f"comment: {plain(comment)}")
    if _is_unsigned(leaf):
        details.append(CLICKED)
    return text, tuple(details)


def _is_unsigned(leaf: Mapping[str, JSONValue]) -> bool:
    """Whether the entry marks an answer as unsigned."""
    return leaf.get("strength") is not None

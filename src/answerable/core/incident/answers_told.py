"""What is told of people's answers, and of questions that became void."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.approval.reasons import denial_reason
from answerable.core.incident.wording import named, plain, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue


def answer_told(
    leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    """Who said yes or no, why, in their words, what they proposed instead, and what they signed."""
    verb = {"approve": "approved", "deny": "denied"}.get(str(leaf.get("verdict")), "answered")
    person, approval = named("person", leaf, payload), short(leaf.get("approval"))
    text = f"{person} {verb} approval {approval}, which is now {leaf.get('state')}."
    details: list[str] = []
    code, comment = payload.get("denial"), payload.get("comment")
    if code:
        details.append(f"because: {denial_reason(str(code)).label}")
    if comment:
        details.append(f"comment: {plain(comment)}")
    if payload.get("narrower") is not None:
        details.append(f"less was proposed instead: {plain(payload['narrower'])}")
    return text, (*details, f"signed over action digest {short(payload.get('digest', leaf.get('digest')))}")


def void_told(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> tuple[str, tuple[str, ...]]:
    """Why nothing runs by an approval any more."""
    del payload
    told = leaf.get("because")
    because = " and ".join(plain(one) for one in told) if isinstance(told, list) else "something"
    return (
        f"Approval {short(leaf.get('approval'))} is void: {because} changed since people were shown it.",
        (),
    )

"""What is told of people's answers beside who said yes or no."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.approval.reasons import denial_reason
from answerable.core.incident.wording import plain, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue


def answer_details(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> tuple[str, ...]:
    """Why, in their words, what they proposed instead, and what they signed."""
    details: list[str] = []
    code, comment = payload.get("denial"), payload.get("comment")
    if code:
        details.append(f"because: {denial_reason(str(code)).label}")
    if comment:
        details.append(f"comment: {plain(comment)}")
    if payload.get("narrower") is not None:
        details.append(f"less was proposed instead: {plain(payload['narrower'])}")
    return (*details, f"signed over action digest {short(payload.get('digest', leaf.get('digest')))}")

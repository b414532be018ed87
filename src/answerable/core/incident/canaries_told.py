"""What is told of questions to people that were tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.incident.wording import named, plain, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue


def canary_told_told(
    leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    """That the question was a test, what was wrong with it, and whether anybody saw it."""
    ends = {"caught": "caught it", "let_through": "let it through"}
    how = ends.get(str(leaf.get("ended")))
    seen = f"{named('person', leaf, payload)} {how}" if how is not None else "nobody answered it"
    text = (
        f"Approval {short(leaf.get('approval'))} was a test: agent {plain(leaf.get('agent'))} never asked for it;"
        f" {seen}."
    )
    wrong = f"made wrong: the {plain(leaf.get('wrong'))}, in {plain(leaf.get('argument'))}"
    comment = payload.get("comment")
    return text, (f"comment: {plain(comment)}", wrong) if comment else (wrong,)

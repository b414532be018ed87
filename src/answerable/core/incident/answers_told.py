"""What is told of people's answers, and of questions to them that were tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.incident.wording import named, plain, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue


def answer_told(
    leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    """What a person said, and what became of the question by it."""
    verb = {"approve": "approved", "deny": "denied"}.get(str(leaf.get("verdict")), "answered")
    person, approval = named("person", leaf, payload), short(leaf.get("approval"))
    text = f"{person} {verb} approval {approval}, which is now {leaf.get('state')}."
    comment = payload.get("comment")
    signed = f"signed over action digest {short(payload.get('digest', leaf.get('digest')))}"
    return text, (f"comment: {plain(comment)}", signed) if comment else (signed,)


def canary_told(
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

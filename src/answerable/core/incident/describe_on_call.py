"""Describe entries about duty: escalations of approvals, and deputies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.incident.handed_on import moment_text
from answerable.core.incident.wording import named, plain, short
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.canonical import JSONValue

_Told = tuple[str, tuple[str, ...]]


def escalated_told(leaf: Mapping[str, JSONValue], _payload: Mapping[str, JSONValue]) -> _Told:
    """Describe to whom an approval was escalated."""
    count = leaf.get("people_count")
    people = "1 person was" if count == 1 else f"{plain(count)} people were"
    text = (
        f"Approval {short(leaf.get('approval'))} was not answered: by step {plain(leaf.get('step'))} of group "
        f"{plain(leaf.get('group'))} ({plain(leaf.get('asks'))}) {people} told."
    )
    why = leaf.get("why")
    return text, (f"because {plain(why)}",) if why else ()


def duty_told(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> _Told:
    """Describe a new deputy, or the end of one."""
    of, to, group = named("of", leaf, payload), named("to", leaf, payload), plain(leaf.get("group"))
    if leaf.get("change") == "ended":
        because = f", because of documents ({plain(leaf.get('because'))})" if leaf.get("because") else ""
        if not leaf.get("by"):
            return f"That {to} stands in for {of} in group {group} was ended{because}.", ()
        return (
            f"{named('by', leaf, payload)} ended that {to} stands in for {of} in group {group}{because}.",
            (),
        )
    since, until = (
        moment_text(one) if isinstance(one, int) else plain(one)
        for one in (leaf.get("since"), leaf.get("until"))
    )
    text = f"{of} let {to} stand in for them in group {group} from {since} until {until}, signed."
    reason = payload.get("reason")
    return text, (f"reason: {plain(reason)}",) if reason else ()


def answered_for(leaf: Mapping[str, JSONValue]) -> str:
    """Return on whose behalf an answer was given, to follow the answerer's name; empty for their own answer."""
    duty = leaf.get("duty")
    if not isinstance(duty, dict):
        return ""
    return f", for {short(duty.get('of'))} in group {plain(duty.get('group'))},"


DUTIES_TOLD: Final[dict[int, Callable[[Mapping[str, JSONValue], Mapping[str, JSONValue]], _Told]]] = {
    Tag.APPROVAL_ESCALATED: escalated_told,
    Tag.DUTY: duty_told,
}
"""The describing function of each tag."""

"""Describe entries about policy sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.incident.wording import named, plain, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

_HOW: Final = {
    "one_person": "changed policies, alone and unsigned",
    "two_people": "published policies",
    "rollback": "went back to earlier policies",
    "registry": "changed what policies are checked against",
}


def policy_changed_told(
    leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    """Describe a policy set that came into force. Old entries without `how` are described as a change."""
    how = _HOW.get(str(leaf.get("how")), "changed policies")
    proposed = f" that {short(leaf.get('author'))} proposed" if leaf.get("author") else ""
    text = f"{named('by', leaf, payload)} {how}{proposed}: {short(leaf.get('before'))} to {short(leaf.get('after'))}."
    return text, ((f"proposal {short(leaf.get('proposal'))}",) if leaf.get("proposal") else ())


def policy_proposed_told(
    leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    """Describe a proposed change that waits for a second person."""
    changes = payload.get("changes")
    names = f" of {plain(', '.join(changes))}" if isinstance(changes, dict) else ""
    text = f"{named('author', leaf, payload)} proposed a change{names}: {short(leaf.get('before'))} to "
    return f"{text}{short(leaf.get('after'))}.", (f"proposal {short(leaf.get('proposal'))}",)


def withdrawn_told(
    leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    """Describe a withdrawn proposal."""
    return f"{named('by', leaf, payload)} took a proposal back.", (f"proposal {short(leaf.get('proposal'))}",)

"""What an entry says of a hold: what stood still, since when and why, and who let it go on; told for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.incident.handed_on import moment_text
from answerable.core.incident.wording import named, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue


def hold_placed_told(
    leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    """A hold came into force: a sentence, and what was on its way meanwhile."""
    by = f"Rule {plain(leaf['rule'])}" if leaf.get("rule") else named("by", leaf, payload)
    details = [f"hold: {plain(leaf.get('hold'))}"]
    if payload.get("reason"):
        details.append(f"reason: {plain(payload['reason'])}")
    if leaf.get("in_flight_count"):
        details.append(
            f"in flight at that moment: {leaf.get('in_flight_count')}, entries {leaf.get('in_flight')}"
        )
    ends = leaf.get("expires_at")
    until = f"until {moment_text(ends)}" if isinstance(ends, int) and ends else "until it is lifted"
    return f"{by} stopped {_what(leaf, payload)}, {until}.", tuple(details)


def hold_lifted_told(
    leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    """Somebody signed that it may go on: a sentence, and why."""
    details = [f"hold: {plain(leaf.get('hold'))}"]
    if payload.get("reason"):
        details.append(f"reason: {plain(payload['reason'])}")
    by, what = named("by", leaf, payload), _what(leaf, payload)
    if leaf.get("lifted_at"):
        return f"{by} lifted the hold on {what}.", tuple(details)
    lacking = f"{plain(leaf.get('agreed'))} of {plain(leaf.get('wanted'))} people have said so"
    return f"{by} agreed to lift the hold on {what}: {lacking}.", tuple(details)


def _what(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> str:
    kind = str(leaf.get("kind"))
    if kind == "everything":
        return kind
    name = named("person", leaf, payload) if kind == "owner" else plain(leaf.get("name"))
    return f"{kind.replace('_', ' ')} {name}"

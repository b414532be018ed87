"""Describe entries about holds: what was held, since when and why, and who lifted it."""

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
    """Describe a hold that came into force, and what was in flight."""
    # Of a panic, `rule` is the id of the press, which means nothing to people.
    pressed = leaf.get("source") == "panic"
    ruled = leaf.get("rule") and not pressed
    by = f"Rule {plain(leaf['rule'])}" if ruled else named("by", leaf, payload)
    by = f"{by} pressed panic and" if pressed else by
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
    """Describe a signed agreement to lift a hold."""
    details = [f"hold: {plain(leaf.get('hold'))}"]
    if payload.get("reason"):
        details.append(f"reason: {plain(payload['reason'])}")
    by, what = named("by", leaf, payload), _what(leaf, payload)
    if leaf.get("lifted_at"):
        return f"{by} lifted the hold on {what}.", tuple(details)
    lacking = f"{plain(leaf.get('agreed'))} of {plain(leaf.get('wanted'))} people have said so"
    return f"{by} agreed to lift the hold on {what}: {lacking}.", tuple(details)


def containment_told(
    leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    """Describe a containment report, written once everything in flight had ended."""
    ended = leaf.get("ended")
    ends = (
        [f"{count} {status.replace('_', ' ')}" for status, count in ended.items()]
        if isinstance(ended, dict)
        else []
    )
    details = [
        f"hold: {plain(leaf.get('hold'))}",
        f"denied: {leaf.get('approvals')} approvals; ended: {leaf.get('instances')} instances",
        f"in flight: {leaf.get('in_flight_count')}" + (f" ({', '.join(ends)})" if ends else ""),
    ]
    last = leaf.get("last")
    if isinstance(last, int) and last >= 0:
        details.append(f"last effect before it: entry {last}")
    until = leaf.get("live_until")
    if leaf.get("live"):
        latest = f", the last until {moment_text(until)}" if isinstance(until, int) and until else ""
        details.append(f"still live: {leaf.get('live')}{latest}")
    return f"All that was in flight when {_what(leaf, payload)} was stopped has ended.", tuple(details)


def _what(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> str:
    kind = str(leaf.get("kind"))
    if kind == "everything":
        return kind
    name = named("person", leaf, payload) if kind == "owner" else plain(leaf.get("name"))
    return f"{kind.replace('_', ' ')} {name}"

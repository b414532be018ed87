"""Describe entries about holds: what was held, since when and why, and who lifted it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.incident.handed_on import moment_text
from answerable.core.incident.wording import denied_told, named, plain
from answerable.core.ledger.effects import address_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

NAMED_MAX: Final = 20
"""Actions in other shards that a line names."""


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
    return f"{by} stopped {_what(leaf, payload)}, {until}.", (*details, *denied_told(leaf))


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
    """Describe a containment report, written once everything known to be in flight had ended."""
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
        *_elsewhere(leaf),
    ]
    last = leaf.get("last")
    if isinstance(last, int) and last >= 0:
        details.append(
            f"last effect before it: entry {plain(address_in('', str(leaf.get('last_log', '')), last))}"
        )
    until = leaf.get("live_until")
    if leaf.get("live"):
        latest = f", the last until {moment_text(until)}" if isinstance(until, int) and until else ""
        details.append(f"still live: {leaf.get('live')}{latest}")
    return _in_flight_told(leaf, _what(leaf, payload)), tuple(details)


def _in_flight_told(leaf: Mapping[str, JSONValue], what: str) -> str:
    """Say what had ended, of what is known."""
    running, silent = leaf.get("running"), leaf.get("not_asked")
    ended = (
        f"{running} of what was in flight when {what} was stopped had no end yet"
        if running
        else f"All that {'is known to have been' if silent else 'was'} in flight when {what} was stopped has ended"
    )
    if not isinstance(silent, list) or not silent:
        return f"{ended}."
    logs = ", ".join(plain(one) if one else "the other shards" for one in silent)
    return f"{ended}; {logs} gave no answer: what was in flight there is not known."


def _elsewhere(leaf: Mapping[str, JSONValue]) -> list[str]:
    """Name the actions in flight in other logs, as `show` takes them."""
    logs = leaf.get("in_flight_elsewhere")
    if not isinstance(logs, dict):
        return []
    places = [
        plain(address_in("", log, index))
        for log, indexes in sorted(logs.items())
        for index in (indexes if isinstance(indexes, list) else ())
        if isinstance(index, int)
    ]
    more = f" and {len(places) - NAMED_MAX} more" if len(places) > NAMED_MAX else ""
    return [f"of them in other shards: entries {', '.join(places[:NAMED_MAX])}{more}"]


def _what(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]) -> str:
    kind = str(leaf.get("kind"))
    if kind == "everything":
        return kind
    name = named("person", leaf, payload) if kind == "owner" else plain(leaf.get("name"))
    return f"{kind.replace('_', ' ')} {name}"

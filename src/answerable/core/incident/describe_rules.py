"""Describe entries about stop rules that fired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.incident.wording import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

_FIRED: Final = {"held": "stopped", "would_hold": "would have stopped", "warned": "is about to stop"}


def rule_fired_told(
    leaf: Mapping[str, JSONValue], _payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    """Describe a stop rule that fired, with the entries behind its value."""
    fired = _FIRED.get(str(leaf.get("fired")), "looked at")
    details = [
        f"{plain(leaf.get('watches'))} of {plain(leaf.get('over'))} {plain(leaf.get('owner'))}: "
        f"{plain(leaf.get('value'))}, more than {plain(leaf.get('limit'))}"
    ]
    if leaf.get("entries"):
        details.append(f"entries: {leaf.get('entries')}")
    if leaf.get("hold"):
        details.append(f"hold: {plain(leaf.get('hold'))}")
    kind = plain(leaf.get("kind")).replace("_", " ")
    return f"Rule {plain(leaf.get('rule'))} {fired} {kind} {plain(leaf.get('name'))}.", tuple(details)

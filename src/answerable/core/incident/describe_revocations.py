"""Describe entries about authorities and revocations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.incident.wording import denied_told, named, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue


def authority_told(leaf: Mapping[str, JSONValue], _: Mapping[str, JSONValue]) -> tuple[str, tuple[str, ...]]:
    """Describe a changed authority of the trust domain."""
    name, domain = plain(leaf.get("authority")), plain(leaf.get("domain"))
    return f"Authority {name} of trust domain {domain} is now {plain(leaf.get('state'))}.", ()


def revoked_told(
    leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue]
) -> tuple[str, tuple[str, ...]]:
    """Describe a revocation, and what was in flight."""
    kind = str(leaf.get("kind")).replace("_", " ")
    what = named("person", leaf, payload) if leaf.get("kind") == "owner" else plain(leaf.get("name"))
    details = [f"reason: {plain(payload['reason'])}"] if payload.get("reason") else []
    if leaf.get("in_flight_count"):
        details.append(
            f"in flight at that moment: {leaf.get('in_flight_count')}, entries {leaf.get('in_flight')}"
        )
    return f"{named('by', leaf, payload)} revoked {kind} {what}, for good.", (*details, *denied_told(leaf))

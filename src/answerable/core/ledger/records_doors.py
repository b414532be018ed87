"""Build the entry of refusals at an endpoint before authentication: which endpoint, why, by whose key, how often.

Origin and claims are sealed fields, because an address may be a person's, and a claim is text of an unauthenticated
caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.canonical import encode
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.proof.door_refusal import DoorRefusal
    from answerable.core.ledger.disclosure import Sealing
    from answerable.core.ledger.entry import Entry


def door_refusal(refusal: DoorRefusal, *, at: UnixMillis, sealing: Sealing) -> Entry:
    """Build the entry of one refusal before there was an action, or of several similar ones."""
    members: dict[str, JSONValue] = {
        "code": refusal.code,
        "count": refusal.count,
        "door": refusal.door,
        "first": refusal.first,
        "last": refusal.last,
    }
    if refusal.agent:
        members["agent"] = refusal.agent
    if refusal.key:
        members["key"] = refusal.key
    if not refusal.source:
        members["others"] = True
    told = {
        "agent_named": refusal.agent_named,
        "mandate_named": refusal.mandate_named,
        "peer": refusal.peer,
        "source": refusal.source,
    }
    fields = [(name.encode(), encode(text)) for name, text in told.items() if text]
    return sealed_entry(
        Tag.DOOR_REFUSAL, at=at, members=members, fields=fields, sealing=sealing if fields else None
    )

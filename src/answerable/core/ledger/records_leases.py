"""Build the entry of a lease's state. It names the account, which is not secret, and contains no secrets.

The reason for a failed revocation, and what is left at the target, are sealed fields, because they contain the target's
own text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.canonical import encode
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.lease.lease import Lease
    from answerable.core.ledger.disclosure import Field, Sealing
    from answerable.core.ledger.entry import Entry


def lease_stands(lease: Lease, *, change: int, at: UnixMillis, sealing: Sealing) -> Entry:
    """Build the entry of a lease's state after the broker's change of this number. at: when the entry is written."""
    members: dict[str, JSONValue] = {
        "account": lease.account,
        "agent": lease.agent,
        "attempts": lease.attempts,
        "capability": lease.capability,
        "change": change,
        "end": lease.end,
        "ended_at": lease.ended_at,
        "expires_at": lease.expires_at,
        "intent": lease.intent,
        "issued_at": lease.issued_at,
        "lease": lease.name,
        "live_until": lease.live_until,
        "mandate": lease.mandate,
        "named_at": lease.named_at,
        "renewed_at": lease.renewed_at,
        "scope": lease.scope,
        "sessions_cut": lease.sessions_cut,
        "state": lease.state,
        "target": lease.target,
        "used_at": lease.used_at,
        "uses": lease.uses,
        "why": lease.why,
        "window": lease.window,
    }
    fields: list[Field] = []
    if lease.fault:
        fields.append((b"fault", encode(lease.fault.encode("utf-8", "replace").decode())))
    if lease.left:
        fields.append((b"left", encode([one.encode("utf-8", "replace").decode() for one in lease.left])))
    return sealed_entry(Tag.LEASE, at=at, members=members, fields=fields, sealing=sealing)

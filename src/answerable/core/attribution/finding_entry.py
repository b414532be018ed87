"""Build the entry of what a target's own log shows against our record.

It holds the least: whose log, what, how well it is known, when, the digest of the line, and the names of fields that
differ. The name of an account that
is none of the broker's may be a person's, and is a sealed field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.canonical import encode
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from answerable.core.attribution.finding import Finding
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.ledger.disclosure import Sealing
    from answerable.core.ledger.entry import Entry


def log_finding(found: Finding, *, at: UnixMillis, sealing: Sealing) -> Entry:
    """Build the entry of one finding."""
    members: dict[str, JSONValue] = {
        "finding": found.id,
        "kind": found.kind,
        "line_at": found.at,
        "target": found.target,
        "verdict": found.verdict,
    }
    texts = {
        "account": found.account if found.is_governed else "",
        "action": found.action,
        "agent": found.agent,
        "claimed": found.claimed,
        "differs": found.differs,
        "grade": found.grade,
        "line": found.line,
        "mandate": found.mandate,
    }
    members |= {name: text for name, text in texts.items() if text}
    if found.step >= 0:
        members["intent"] = found.step
    fields = [] if found.is_governed or not found.account else [(b"account", encode(found.account))]
    return sealed_entry(
        Tag.LOG_FINDING, at=at, members=members, fields=fields, sealing=sealing if fields else None
    )

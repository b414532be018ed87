"""Build the entries about on-call duty: to whom a pending approval was escalated, and who is deputy for whom.

An entry about an approval names the notified people only by pseudonyms: otherwise it would hold names of many people
under the key of one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.canonical import encode
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.records_keys import keys_members
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.approval import Approval
    from answerable.core.approval.deputy_statement import DeputyStatement
    from answerable.core.approval.routing import Told
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.ledger.disclosure import Field, Sealing
    from answerable.core.ledger.entry import Entry
    from answerable.core.ledger.leaves import Reference

TOLD_NAMED_MAX: Final = 32
"""People that an entry names; the rest are counted."""


def approval_escalated(approval: Approval, told: Told, *, at: UnixMillis, people: Sequence[str]) -> Entry:
    """Build the entry of an escalation. people: pseudonyms of the people notified, at most `TOLD_NAMED_MAX`."""
    members: dict[str, JSONValue] = {
        "agent": approval.agent,
        "approval": approval.id,
        "asks": told.asks,
        "group": told.group,
        "mandate": approval.mandate,
        "people": [*people],
        "people_count": len(told.people),
        "step": told.step,
        "why": told.why,
    }
    return sealed_entry(Tag.APPROVAL_ESCALATED, at=at, members=members)


def duty_given(
    one: DeputyStatement,
    *,
    at: UnixMillis,
    sealing: Sealing,
    of: str,
    to: str,
    signer: str,
    kept: bytes,
    keys_ref: Reference | None = None,
) -> Entry:
    """Build the entry of a new deputy. of, to: pseudonyms. signer: public JWK of the signer; empty for a passkey, whose
    key is in the signed statement. kept: the delegation as stored in the register. keys_ref: the entry that states that
    the key is theirs."""
    members: dict[str, JSONValue] = {
        **_about(one, of=of, to=to),
        "change": "given",
        "since": one.since,
        "strength": one.strength,
        "until": one.until,
        **keys_members(keys_ref),
    }
    fields: list[Field] = [
        (b"of_name", encode(one.of)),
        (b"to_name", encode(one.to)),
        (b"reason", encode(one.reason)),
        (b"token", encode(one.token)),
        (b"kept", kept),
    ]
    if signer:
        fields.append((b"signer", encode(signer)))
    return sealed_entry(Tag.DUTY, at=at, members=members, fields=fields, sealing=sealing)


def duty_ended(
    one: DeputyStatement,
    *,
    at: UnixMillis,
    sealing: Sealing,
    of: str,
    to: str,
    by: str,
    by_name: str,
    because: str = "",
) -> Entry:
    """Build the entry of a delegation that ended early. by: pseudonym of the person who ended it; empty where unknown.
    because: stable code, where a change of documents removed its basis."""
    members: dict[str, JSONValue] = {
        **_about(one, of=of, to=to),
        **({"because": because} if because else {}),
        **({"by": by} if by else {}),
        "change": "ended",
    }
    fields: list[Field] = [
        *([(b"by_name", encode(by_name))] if by else []),
        (b"of_name", encode(one.of)),
        (b"to_name", encode(one.to)),
    ]
    return sealed_entry(Tag.DUTY, at=at, members=members, fields=fields, sealing=sealing)


def _about(one: DeputyStatement, *, of: str, to: str) -> dict[str, JSONValue]:
    return {"delegation": one.id, "group": one.group, "of": of, "to": to}

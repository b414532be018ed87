"""What the entry about a revocation says: what was ended, by whom, and what it came too late for.

The name of a person is a field, as is the reason, which somebody wrote; the leaf has the person's pseudonym.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.canonical import encode
from answerable.core.identity.names.spiffe_id import SCHEME
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.ledger.disclosure import Field, Sealing
    from answerable.core.ledger.entry import Entry
    from answerable.core.mandate.revocation import Revocation

IN_FLIGHT_NAMED_MAX: Final = 256
"""Intents that were in flight, by index, for which a leaf has room; the rest are counted."""
APPROVALS_NAMED_MAX: Final = 200
"""Questions that were denied by a stop, by id, for which a leaf has room beside these; the rest are counted."""
NAME_TOLD_TWICE_CHARS_MAX: Final = 256
_MEMBERS: Final = {
    "mandate": "mandate",
    "agent": "agent",
    "key": "key",
    "manifest": "manifest",
    "owner": "person",
}
"""Under which member a story finds the revocation, by kind."""


def revoked(
    revocation: Revocation,
    *,
    at: UnixMillis,
    sealing: Sealing,
    by: str,
    person: str,
    in_flight: Sequence[int],
    approvals: Sequence[str] = (),
) -> Entry:
    """Something was ended. by: pseudonym of who ended it. person: pseudonym of whom it is about, for an `owner`.

    in_flight: ledger indexes of the intents that had been started under it and had no end, when it came into force.
    approvals: ids of the questions that were denied by it.
    """
    kind, plain = revocation.what
    name = person if kind == "owner" else plain
    members: dict[str, JSONValue] = {
        "by": by,
        "in_flight": [*in_flight[:IN_FLIGHT_NAMED_MAX]],
        "in_flight_count": len(in_flight),
        "kind": kind,
        "name": name,
        "since": revocation.at,
        **denied_members(approvals),
    }
    member = "instance" if plain.startswith(SCHEME) else _MEMBERS.get(kind)
    if member is not None and len(name) <= NAME_TOLD_TWICE_CHARS_MAX:
        members[member] = name
    fields: list[Field] = [(b"by_name", encode(revocation.by))]
    if kind == "owner":
        fields.append((b"person_name", encode(plain)))
    if revocation.reason:
        fields.append((b"reason", encode(revocation.reason)))
    return sealed_entry(Tag.REVOKED, at=at, members=members, fields=fields, sealing=sealing)


def denied_members(approvals: Sequence[str]) -> dict[str, JSONValue]:
    """What the leaf of a stop says of the questions that it denied; nothing where there were none."""
    if not approvals:
        return {}
    return {"approvals": [*approvals[:APPROVALS_NAMED_MAX]], "approvals_count": len(approvals)}

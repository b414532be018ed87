"""Build the entry of a revocation: what was ended, by whom, and which actions were already running.

The name of a person is a sealed field, as is the reason, which a person wrote; the leaf has the person's pseudonym.
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
"""Running intents that a leaf lists by index; the rest are counted."""
APPROVALS_NAMED_MAX: Final = 200
"""Approvals denied by a stop that a leaf lists by id beside the intents; the rest are counted."""
NAME_TOLD_TWICE_CHARS_MAX: Final = 256
_MEMBERS: Final = {
    "mandate": "mandate",
    "agent": "agent",
    "key": "key",
    "manifest": "manifest",
    "owner": "person",
}
"""The leaf member by which a timeline finds the revocation, by kind."""


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
    """Build the entry of a revocation. by: pseudonym of the person who revoked. person: pseudonym of the revoked
    person, for an `owner`.

    in_flight: ledger indexes of the intents under it that were running when it came into force. approvals: ids of the
    pending approvals that it denied.
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
    """Build the leaf members of a stop that list the approvals it denied; empty where there were none."""
    if not approvals:
        return {}
    return {"approvals": [*approvals[:APPROVALS_NAMED_MAX]], "approvals_count": len(approvals)}

"""Build the entry of a signed statement about an incident. The text, the name of the person and the statement itself
are sealed for that person; the leaf has what is needed to find the incident and to compute its clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.canonical import encode
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.records_keys import key_file_fields, key_file_members
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.incident.incident_statement import IncidentClaims
    from answerable.core.ledger.disclosure import Sealing
    from answerable.core.ledger.entry import Entry
    from answerable.core.ledger.records_keys import KeyFile

FOUND_BY: Final = ("agent", "capability", "hold", "instance", "mandate", "server")
"""Fields of a search whose only name is a member of the leaf, so that stories of it tell the incident, too."""


def incident_entry(
    claims: IncidentClaims,
    token: str,
    *,
    at: UnixMillis,
    sealing: Sealing,
    by: str,
    key_file: KeyFile,
    covers: Mapping[str, Sequence[str]],
    duties: Mapping[str, int],
) -> Entry:
    """Build the entry. by: pseudonym. covers: names by field of a search, whose entries an opened incident is about;
    empty for all. duties: hours by duty, of an opened incident."""
    members: dict[str, JSONValue] = {
        "by": by,
        "change": claims.change,
        "incident": claims.incident,
        "statement": claims.id,
        **({"classes": [*claims.classes]} if claims.classes else {}),
        **key_file_members(key_file),
    }
    if claims.change == "opened":
        members |= {
            "about": claims.kind,
            "about_name": claims.name,
            "covers": {field: [*names] for field, names in covers.items()},
            "duties": dict(duties),
            "since": claims.since_ms,
            "until": claims.until_ms,
            **{field: covers[field][0] for field in FOUND_BY if len(covers.get(field, ())) == 1},
        }
        if claims.kind == "hold":
            members["hold"] = claims.name
    else:
        members["opened"] = claims.entry
    if claims.told:
        members |= {"told": claims.told, "told_at": claims.told_ms}
    if claims.question:
        members["question"] = True
    if claims.answers >= 0:
        members["answers"] = claims.answers
    fields = [
        (b"by_name", encode(claims.iss)),
        (b"comment", encode(claims.text)),
        (b"token", encode(token)),
        *key_file_fields(key_file),
    ]
    return sealed_entry(Tag.INCIDENT, at=at, members=members, fields=fields, sealing=sealing)

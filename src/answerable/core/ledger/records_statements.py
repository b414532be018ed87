"""What the entries about documents and statements say: what changed, and what intents refer to, written down once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.canonical import encode
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.mandate_fields import mandate_fields
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.principal import UnixMillis
    from answerable.core.ledger.disclosure import Sealing
    from answerable.core.ledger.entry import Entry
    from answerable.core.mandate.mandate import Mandate


def registry_change(
    *,
    at: UnixMillis,
    sealing: Sealing,
    by: str,
    pseudonym: str,
    before: str,
    after: str,
    changes: bytes,
    because: str = "",
) -> Entry:
    """Documents were applied. before, after: registry digests. changes: canonical JSON of the changed documents.

    pseudonym: of `by`. because: why, where a rule of ours did it, in words that name nobody."""
    members: dict[str, JSONValue] = {"after": after, "before": before, "by": pseudonym}
    if because:
        members["because"] = because
    fields = [(b"by_name", encode(by)), (b"changes", changes)]
    return sealed_entry(Tag.REGISTRY_CHANGE, at=at, members=members, fields=fields, sealing=sealing)


def policy_change(
    *, at: UnixMillis, sealing: Sealing, by: str, pseudonym: str, before: str, after: str, statement: bytes
) -> Entry:
    """A policy set came into force. pseudonym: of `by`. statement: the set, of which `after` is the digest."""
    members: dict[str, JSONValue] = {"after": after, "before": before, "by": pseudonym}
    fields = [(b"by_name", encode(by)), (b"policies", statement)]
    return sealed_entry(Tag.POLICY_CHANGE, at=at, members=members, fields=fields, sealing=sealing)


def cited_mandate(
    mandate: Mandate, *, at: UnixMillis, sealing: Sealing, principal: str, audience: str, owner: str = ""
) -> Entry:
    """The mandate that intents after this entry refer to. principal: pseudonym. owner: as in `mandate_issued`."""
    members: dict[str, JSONValue] = {"kind": "mandate", "name": mandate.id, "principal": principal}
    fields = mandate_fields(mandate, audience=audience, owner=owner)
    return sealed_entry(Tag.CITED, at=at, members=members, fields=fields, sealing=sealing)


def cited_text(kind: str, digest: str, text: bytes, *, at: UnixMillis, sealing: Sealing) -> Entry:
    """A policy set or tool definition that intents after this entry refer to. text: JSON. digest: hex, its name."""
    members: dict[str, JSONValue] = {"kind": kind, "name": digest}
    return sealed_entry(Tag.CITED, at=at, members=members, fields=[(b"text", text)], sealing=sealing)

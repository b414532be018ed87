"""What the entries about hops say: each token stands in the log once, and intents refer to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.canonical import encode
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.principal import UnixMillis
    from answerable.core.ledger.disclosure import Field, Sealing
    from answerable.core.ledger.entry import Entry
    from answerable.core.mandate.delegation_chain import Hop

KIND: str = "hop"


def cited_hop(
    hop: Hop,
    *,
    at: UnixMillis,
    sealing: Sealing,
    principal: str,
    mandate: str,
    parent: str,
    manifest: str = "",
) -> Entry:
    """A hop that was issued, or that was signed by an agent and is used for the first time. principal: pseudonym.

    parent: `jti` of the hop above, empty for the first one. The token itself is a field: it names a person.
    """
    members: dict[str, JSONValue] = {
        "agent": hop.agent,
        "depth": hop.depth,
        "expires": hop.expires_at,
        "form": hop.form,
        "hop": hop.jti,
        "kind": KIND,
        "mandate": mandate,
        "name": hop.digest.hex(),
        "parent": parent,
        "principal": principal,
    }
    if manifest:
        members["manifest"] = manifest
    fields: list[Field] = [(b"principal_name", encode(hop.principal)), (b"token", encode(hop.token))]
    return sealed_entry(Tag.CITED, at=at, members=members, fields=fields, sealing=sealing)

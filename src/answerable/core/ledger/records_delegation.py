"""What the entries about hops say: each token stands in the log once, and intents refer to it.

What an agent consented to stands there before the token that was issued for it, and that token's entry refers to it; so
whoever has both can hold what was issued to what was consented to, without asking anybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.canonical import encode
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.ledger.disclosure import Field, Sealing
    from answerable.core.ledger.entry import Entry
    from answerable.core.mandate.delegation_chain import Hop

KIND: str = "hop"
CONSENT_KIND: str = "consent"


def cited_hop(
    hop: Hop,
    *,
    at: UnixMillis,
    sealing: Sealing,
    principal: str,
    mandate: str,
    parent: str,
    manifest: str = "",
    log: str = "",
) -> Entry:
    """A hop that was issued, or that was signed by an agent and is used for the first time. principal: pseudonym.

    parent: `jti` of the hop above, empty for the first one. log: origin of the log that it is written to. The token
    itself is a field: it names a person.
    """
    members = _members(hop, kind=KIND, mandate=mandate, parent=parent, principal=principal)
    if manifest:
        members["manifest"] = manifest
    if hop.consent is not None and hop.consent.leaf:
        place = {"log": hop.consent.log} if hop.consent.log != log else {}
        members["consent"] = {"entry": hop.consent.entry, "leaf": hop.consent.leaf, **place}
    elif hop.depth and hop.form == "online":
        # Issued for a token of its holder's own, which asks for nobody's consent: said, so that an omission shows.
        members["own"] = True
    fields: list[Field] = [(b"principal_name", encode(hop.principal)), (b"token", encode(hop.token))]
    return sealed_entry(Tag.CITED, at=at, members=members, fields=fields, sealing=sealing)


def cited_consent(
    hop: Hop, *, at: UnixMillis, sealing: Sealing, principal: str, mandate: str, parent: str
) -> Entry:
    """A hop that an agent signed for another one, which exchanges it. parent: `jti` of the hop it was signed by."""
    members = _members(hop, kind=CONSENT_KIND, mandate=mandate, parent=parent, principal=principal)
    fields: list[Field] = [(b"principal_name", encode(hop.principal)), (b"token", encode(hop.token))]
    return sealed_entry(Tag.CITED, at=at, members=members, fields=fields, sealing=sealing)


def _members(hop: Hop, *, kind: str, mandate: str, parent: str, principal: str) -> dict[str, JSONValue]:
    return {
        "agent": hop.agent,
        "depth": hop.depth,
        "expires": hop.expires_at,
        "form": hop.form,
        "hop": hop.jti,
        "kind": kind,
        "mandate": mandate,
        "name": hop.digest.hex(),
        "parent": parent,
        "principal": principal,
    }

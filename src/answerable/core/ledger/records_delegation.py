"""Build the entries about delegation hops: each token is recorded once, and intents refer to it.

An agent's consent is recorded before the token issued for it, and the token's entry refers to the consent. A reader of
both entries can compare the issued token with the consent without querying anybody.
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
    """Build the entry of a hop that was issued, or that an agent signed and that is used for the first time. principal:
    pseudonym.

    parent: `jti` of the hop above, empty for the first. log: origin of the log that the entry is written to. The token
    itself is a sealed field, because it names a person.
    """
    members = _members(hop, kind=KIND, mandate=mandate, parent=parent, principal=principal)
    if manifest:
        members["manifest"] = manifest
    if hop.consent is not None and hop.consent.leaf:
        place = {"log": hop.consent.log} if hop.consent.log != log else {}
        members["consent"] = {"entry": hop.consent.entry, "leaf": hop.consent.leaf, **place}
    elif hop.depth and hop.form == "online":
        # Issued for the holder's own token, so nobody's consent is needed. Recorded, so that a missing consent is
        # detectable.
        members["own"] = True
    fields: list[Field] = [(b"principal_name", encode(hop.principal)), (b"token", encode(hop.token))]
    return sealed_entry(Tag.CITED, at=at, members=members, fields=fields, sealing=sealing)


def cited_consent(
    hop: Hop, *, at: UnixMillis, sealing: Sealing, principal: str, mandate: str, parent: str
) -> Entry:
    """Build the entry of a hop that an agent signed for another agent to exchange. parent: `jti` of the hop that signed
    it."""
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

"""Build the entries about running workloads: enrolled, ended, identity documents issued, keys of the trust domain.

An instance is named only by its SPIFFE ID, so it needs no pseudonym; an operator has one. Measurements of an instance
may name people (the subject of an OIDC token) and are a sealed field, as is the name of the operator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from answerable.core.base64url import to_base64url
from answerable.core.canonical import encode
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.names.spiffe_id import SpiffeId, TrustDomain
    from answerable.core.identity.svid.authority import Authority
    from answerable.core.identity.workload.instance import Instance
    from answerable.core.ledger.disclosure import Field, Sealing
    from answerable.core.ledger.entry import Entry

SvidKind = Literal["x509", "jwt", "wit"]
AuthorityState = Literal["prepared", "active", "old", "removed"]


def workload_enrolled(instance: Instance, *, at: UnixMillis, sealing: Sealing | None = None) -> Entry:
    """Build the entry of an attested instance and its SPIFFE ID.

    sealing: of the subject `agent:<name>`, which seals its selectors and other measurements; without it they are
    omitted. A used join token is named by its digest, which cannot be used again.
    """
    members: dict[str, JSONValue] = {
        "agent": instance.agent,
        "drift": [*instance.drift],
        "expires": instance.expires_at,
        "grade": instance.evidence.grade,
        "instance": str(instance.id),
        **({"join_token": instance.evidence.join_token} if instance.evidence.join_token else {}),
        "key": instance.key.thumbprint if instance.key is not None else "",
        "manifest": instance.manifest,
        "manifest_fields": dict(instance.manifest_fields),
        "manifest_grade": instance.manifest_grade,
        "parent": instance.parent,
        "source": instance.evidence.source,
    }
    fields: list[Field] = []
    if sealing is not None and instance.evidence.selectors:
        fields.append((b"selectors", encode([*instance.evidence.selectors])))
    if sealing is not None:
        fields.append((b"running", encode(_running(instance))))
    return sealed_entry(Tag.WORKLOAD_ENROLLED, at=at, members=members, fields=fields, sealing=sealing)


def _running(instance: Instance) -> dict[str, JSONValue]:
    """Build the data of an instance beyond its leaf, which is needed to recognise it again."""
    return {
        "agent_up": instance.agent_up,
        "enrolled_at": instance.enrolled_at,
        "measured": [[*one] for one in instance.measured],
        "process": instance.process,
        "public_key": instance.key.jwk if instance.key is not None else "",
    }


def workload_ended(
    instance: Instance, *, at: UnixMillis, because: str, pseudonym: str = "", sealing: Sealing | None = None
) -> Entry:
    """Build the entry of an ended instance. because: stable code.

    pseudonym, sealing: of the operator who ended it, whose name is then a sealed field; absent for all other ends.
    """
    members: dict[str, JSONValue] = {
        "agent": instance.agent,
        "because": because,
        "instance": str(instance.id),
    }
    fields: list[Field] = []
    if sealing is not None:
        members["by"] = pseudonym
        fields.append((b"by_name", encode(instance.ended_by)))
    return sealed_entry(Tag.WORKLOAD_ENDED, at=at, members=members, fields=fields, sealing=sealing)


def svid_issued(
    instance: SpiffeId,
    *,
    at: UnixMillis,
    kind: SvidKind,
    serial: str,
    expires: UnixMillis,
    key: str = "",
    broker: SpiffeId | None = None,
) -> Entry:
    """Build the entry of an issued identity document. serial: of the certificate, hex, or SHA-256 of the token, hex.

    key: thumbprint or SHA-256 of the key it is bound to; empty for a bearer document. broker: the instance that fetched
    it on behalf of this one; None where this one fetched it itself.
    """
    members: dict[str, JSONValue] = {
        "expires": expires,
        "instance": str(instance),
        "key": key,
        "kind": kind,
        "serial": serial,
    }
    if broker is not None:
        members["broker"] = str(broker)
    return sealed_entry(Tag.SVID_ISSUED, at=at, members=members)


def authority_changed(
    domain: TrustDomain,
    authority: str,
    *,
    at: UnixMillis,
    state: AuthorityState,
    sequence: int,
    public: Authority | None = None,
) -> Entry:
    """Build the entry of a generation of keys that changed its state. authority: its id. sequence: of the bundle from
    here on. public: its certificate and public keys, recorded so that nobody must trust a register for them."""
    members: dict[str, JSONValue] = {
        **(_public(public) if public is not None else {}),
        "authority": authority,
        "domain": domain,
        "sequence": sequence,
        "state": state,
    }
    return sealed_entry(Tag.AUTHORITY_CHANGED, at=at, members=members)


def _public(authority: Authority) -> dict[str, JSONValue]:
    return {
        "certificate": to_base64url(authority.certificate),
        "jwt_key": authority.jwt_jwk,
        "not_after": authority.not_after,
        "not_before": authority.not_before,
        "wit_key": authority.wit_jwk,
    }

"""The trust domain of this server."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from answerable.api.members import Component, Count, Instant, Part


class AuthorityRow(Part, frozen=True, kw_only=True):
    """One authority of the trust domain."""

    id: str
    state: str
    not_before: Instant
    not_after: Instant
    since: Instant


class FederatedDomain(Part, frozen=True, kw_only=True):
    """A trust domain of others that is trusted here."""

    trust_domain: str
    profile: str
    address: str
    state: str
    sequence: Count | None
    fault: str


class TrustDomain(Component, frozen=True, kw_only=True):
    """The trust domain. sequence: None while it is not open."""

    trust_domain: str
    sequence: Count | None
    open: bool
    authorities: tuple[AuthorityRow, ...]
    federated: tuple[FederatedDomain, ...]


class Rotation(Component, frozen=True, kw_only=True):
    """activate: whether the next keys sign at once."""

    activate: bool | UnsetType = UNSET

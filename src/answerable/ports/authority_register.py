"""Port: the authorities of our trust domain, and the bundles of the trust domains federated with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.identity.names.spiffe_id import TrustDomain
    from answerable.core.identity.svid.authority import AuthoritySet


class AuthorityRegister(Protocol):
    """Promises: a write is on stable storage when the call returns; every read gives the newest state, including writes
    of other processes; of writers that race for one revision, one wins. Blocking. Raises only Unavailable
    (`register.*`)."""

    def read(self) -> AuthoritySet | None:
        """Return all generations, or None where none was ever written."""
        ...

    def replace(self, after: AuthoritySet, *, expected: int | None) -> bool:
        """Write this set if the stored set has the revision `expected` (None: no set is stored). False otherwise, and
        nothing changes."""
        ...

    def federated(self) -> Mapping[TrustDomain, bytes]:
        """Return the stored bundle documents of foreign trust domains."""
        ...

    def keep_federated(self, domain: TrustDomain, document: bytes) -> None:
        """Store this document in place of any earlier one of the domain."""
        ...

    def drop_federated(self, domain: TrustDomain) -> bool:
        """Remove the domain. False when it was not stored."""
        ...

"""Port: which authorities our trust domain has, and the bundles of the domains it is federated with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.identity.names.spiffe_id import TrustDomain
    from answerable.core.identity.svid.authority import AuthoritySet


class AuthorityRegister(Protocol):
    """Promises: what was written is on stable storage when the call returns; every read gives the newest state, also
    what another process wrote; of writers that race for one revision, one wins. Blocking. Raises only Unavailable
    (`register.*`).
    """

    def read(self) -> AuthoritySet | None:
        """All generations, or None where none has ever been written."""
        ...

    def replace(self, after: AuthoritySet, *, expected: int | None) -> bool:
        """Write this set if what is there has the revision `expected` (None: nothing is there); False, and nothing
        changed, otherwise."""
        ...

    def federated(self) -> Mapping[TrustDomain, bytes]:
        """The bundle documents of foreign trust domains, as they were kept."""
        ...

    def keep_federated(self, domain: TrustDomain, document: bytes) -> None:
        """Keep this document, in place of any that there is of this domain."""
        ...

    def drop_federated(self, domain: TrustDomain) -> bool:
        """Forget the domain; False when nothing was known of it."""
        ...

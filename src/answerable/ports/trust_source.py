"""Port: trust bundles by trust domain, our own and those of federated domains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.identity.names.spiffe_id import TrustDomain
    from answerable.core.identity.svid.trust_bundle import TrustBundle


class TrustSource(Protocol):
    """Promises: synchronous, without I/O; a trust domain that is not configured has no bundle; a bundle is replaced
    whole, and no later look-up returns the old one. Never raises."""

    def bundle(self, domain: TrustDomain) -> TrustBundle | None:
        """Return the bundle that verifies documents of this domain; None means that no document of the domain is
        trusted."""
        ...

    def bundles(self) -> Mapping[TrustDomain, TrustBundle]:
        """Return all bundles, our own included: the same object until one of them is replaced."""
        ...

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` in this event loop after every replacement; return a function that ends the watch."""
        ...

"""Port: the endpoint that serves the trust bundle of one foreign trust domain (SPIFFE federation)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from answerable.core.identity.svid.federation import FederationSource
    from answerable.core.identity.svid.trust_bundle import TrustBundle


class BundleEndpoint(Protocol):
    """Promises: the bundle that `fetch` returns carries the configured trust domain, whatever the document claims, and
    came from a source that was authenticated as its profile demands; each fetch is bounded in time and bytes; redirect
    targets are not remembered.

    Raises only Unavailable: `bundle.unreachable`; `bundle.untrusted` where the peer failed authentication;
    `bundle.answer` for an answer outside the protocol; `bundle.malformed` for a document that is not a bundle; and
    `bundle.withdrawn` where the source itself says that it has no bundle of the domain: a stored bundle is then no
    longer valid.
    """

    @property
    def source(self) -> FederationSource:
        """The configuration of this endpoint."""
        ...

    async def fetch(self) -> TrustBundle:
        """Fetch the current bundle. The caller checks whether it is newer than a stored one."""
        ...

    async def wait(self, seconds: float) -> None:
        """Return when the bundle may have changed, or after this many seconds. Never raises."""
        ...

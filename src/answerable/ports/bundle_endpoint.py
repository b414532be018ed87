"""Port: where the trust bundle of one foreign trust domain comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from answerable.core.identity.svid.federation import FederationSource
    from answerable.core.identity.svid.trust_bundle import TrustBundle


class BundleEndpoint(Protocol):
    """Promises: what `fetch` returns carries the configured trust domain, whatever the document says of itself, and
    came from a source that was authenticated as its profile demands; each fetch ends within a limit of time and reads a
    limited number of bytes; nothing is remembered of where a redirect led.

    Raises only Unavailable: `bundle.unreachable`, `bundle.untrusted` where the other end is not who it should be,
    `bundle.answer` for what is not of the protocol, `bundle.malformed` for a document that is no bundle, and
    `bundle.withdrawn` where the source itself says that it has no bundle of the domain: a known one counts no more.
    """

    @property
    def source(self) -> FederationSource:
        """What it was made for."""
        ...

    async def fetch(self) -> TrustBundle:
        """The present bundle. Whether it is newer than a known one is for the caller to judge."""
        ...

    async def wait(self, seconds: float) -> None:
        """Return when the bundle may have changed, or after so many seconds. Never raises."""
        ...

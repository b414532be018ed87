"""Contract suite of the BundleEndpoint port. To test an adapter, subclass it and implement `place` and the three
bundles."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from answerable.errors import Unavailable
from answerable.testing.contracts.claims import claim

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from answerable.core.identity.svid.trust_bundle import TrustBundle
    from answerable.ports.bundle_endpoint import BundleEndpoint

WAIT_SECONDS = 0.3
SLACK_SECONDS = 20.0
"""More than any machine needs, and still bounded."""


class Place(Protocol):
    """An endpoint and control over what it serves."""

    endpoint: BundleEndpoint

    def show(self, bundle: TrustBundle) -> None:
        """Serve this bundle from now on. Its domain may differ from the endpoint's."""
        ...

    def spoil(self) -> None:
        """Serve something that is no bundle from now on."""
        ...

    async def remove(self) -> None:
        """Stop answering from now on."""
        ...


class BundleEndpointContract:
    """Contract cases for any endpoint. `tmp_path` is an empty directory of the test."""

    def place(self, tmp_path: Path) -> AbstractAsyncContextManager[Place]:
        """Yield an endpoint that serves `first()`."""
        raise NotImplementedError

    def first(self) -> TrustBundle:
        """Return a bundle of the endpoint's domain with at least one authority."""
        raise NotImplementedError

    def second(self) -> TrustBundle:
        """Return another bundle of the same domain."""
        raise NotImplementedError

    def foreign(self) -> TrustBundle:
        """Return a bundle of another domain."""
        raise NotImplementedError

    async def test_it_gives_what_is_there_under_the_configured_name(self, tmp_path: Path) -> None:
        async with self.place(tmp_path) as place:
            fetched = await place.endpoint.fetch()
            claim(
                fetched.trust_domain == place.endpoint.source.trust_domain, "the name is the configured one"
            )
            claim(fetched.x509_authorities == self.first().x509_authorities, "all authorities came")
            claim(fetched.jwt_authorities == self.first().jwt_authorities, "all JWT keys came")

    async def test_a_change_is_in_the_next_fetch(self, tmp_path: Path) -> None:
        async with self.place(tmp_path) as place:
            await place.endpoint.fetch()
            place.show(self.second())
            fetched = await place.endpoint.fetch()
            claim(fetched.x509_authorities == self.second().x509_authorities, "the new authorities came")

    async def test_what_is_no_bundle_is_unavailable(self, tmp_path: Path) -> None:
        async with self.place(tmp_path) as place:
            place.spoil()
            await self._unavailable(place)
            place.show(self.first())
            fetched = await place.endpoint.fetch()
            claim(fetched.x509_authorities == self.first().x509_authorities, "it recovers")

    async def test_a_source_that_is_gone_is_unavailable(self, tmp_path: Path) -> None:
        async with self.place(tmp_path) as place:
            await place.endpoint.fetch()
            await place.remove()
            await self._unavailable(place)

    async def test_a_wait_ends_with_its_time_whatever_is_there(self, tmp_path: Path) -> None:
        async with self.place(tmp_path) as place:
            await place.endpoint.fetch()
            for change in (None, place.remove):
                if change is not None:
                    await change()
                begun = time.monotonic()
                await place.endpoint.wait(WAIT_SECONDS)
                claim(time.monotonic() - begun < WAIT_SECONDS + SLACK_SECONDS, "the wait ended")

    async def _unavailable(self, place: Place) -> None:
        try:
            await place.endpoint.fetch()
        except Unavailable as told:
            claim(told.code.startswith("bundle."), f"the code is of the port, not {told.code}")
            claim(told.effect == "none", "a fetch has no effect")
            return
        claim(False, "it is unavailable")

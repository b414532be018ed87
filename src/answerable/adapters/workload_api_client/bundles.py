"""Fetch the bundle of a foreign trust domain from another system's Workload API."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final, cast

import anyio

from answerable.adapters.workload_api_client.calls import NotOffered, certificates, messages, retry_seconds
from answerable.core.identity.names.spiffe_id import SCHEME
from answerable.core.identity.svid.certificate_rules import authority_key
from answerable.core.identity.svid.federation import bundle_unavailable
from answerable.core.identity.svid.trust_bundle import (
    BUNDLE_BYTES_MAX,
    TrustBundle,
    parse_jwt_bundle,
    parse_wit_bundle,
)
from answerable.errors import Malformed, Unavailable
from answerable.errors.codes.identity import (
    BUNDLE_MALFORMED,
    BUNDLE_SIZE,
    BUNDLE_UNREACHABLE,
    BUNDLE_WITHDRAWN,
)

if TYPE_CHECKING:
    from answerable.adapters.workload_api_client.messages import Bundles
    from answerable.core.identity.names.spiffe_id import TrustDomain
    from answerable.core.identity.svid.federation import FederationSource

FETCH_SECONDS_MAX: Final = 30.0

_X509: Final = ("FetchX509Bundles", "Bundles")
_JWT: Final = ("FetchJWTBundles", "JWTBundles")
_WIT: Final = ("FetchWITBundles", "JWTBundles")


class WorkloadApiBundle:
    """Implements ports.BundleEndpoint for a Workload API. Only the entry of the configured trust domain is read.

    Such a bundle has neither sequence nor refresh hint: the API provides none, and pushes changes instead.
    """

    def __init__(self, *, source: FederationSource, fetch_seconds_max: float = FETCH_SECONDS_MAX) -> None:
        self._source = source
        self._fetch_seconds_max = fetch_seconds_max
        self._seen: dict[str, bytes] = {}

    @property
    def source(self) -> FederationSource:
        """The configured source."""
        return self._source

    async def fetch(self) -> TrustBundle:
        domain = self._source.trust_domain
        try:
            with anyio.fail_after(self._fetch_seconds_max):
                x509, jwt, wit = [await self._first(call) for call in (_X509, _JWT, _WIT)]
        except TimeoutError:
            why = f"no answer within {self._fetch_seconds_max:g} seconds"
            raise bundle_unavailable(domain, why, code=BUNDLE_UNREACHABLE) from None
        except Unavailable as fault:
            raise bundle_unavailable(domain, fault.message, code=BUNDLE_UNREACHABLE) from None
        if not (x509 or jwt or wit):
            # A bundle missing from a message was withdrawn (SPIFFE Workload API, section 4.3).
            why = "this Workload API has no bundle of it"
            raise bundle_unavailable(domain, why, code=BUNDLE_WITHDRAWN)
        try:
            return bundle_of_api(domain, x509=x509, jwt=jwt, wit=wit)
        except Malformed as fault:
            raise bundle_unavailable(domain, fault.message, code=BUNDLE_MALFORMED) from None

    async def wait(self, seconds: float) -> None:
        """Wait until the API pushes a bundle other than the fetched one, or the time is over. Reconnects on
        failures."""
        with anyio.move_on_after(seconds):
            failures = 0
            while True:
                try:
                    async with anyio.create_task_group() as tasks:
                        for call in (_X509, _JWT, _WIT):
                            tasks.start_soon(self._until_other, call, tasks.cancel_scope)
                    return
                except* Unavailable:
                    failures += 1
                await anyio.sleep(retry_seconds(failures))

    async def _until_other(self, call: tuple[str, str], found: anyio.CancelScope) -> None:
        try:
            async with aclosing(messages(self._source.address, *call)) as stream:
                async for message in stream:
                    if self._entry(cast("Bundles", message)) != self._seen.get(call[0], b""):
                        found.cancel()
                        return
        except NotOffered:
            await anyio.sleep_forever()

    async def _first(self, call: tuple[str, str]) -> bytes:
        """Return the configured domain's entry in the first message of a stream; empty if there is none."""
        entry = b""
        try:
            async with aclosing(messages(self._source.address, *call)) as stream:
                entry = self._entry(cast("Bundles", await anext(stream)))
        except NotOffered:
            pass
        self._seen[call[0]] = entry
        return entry

    def _entry(self, message: Bundles) -> bytes:
        # Section 6.2 specifies the trust domain's SPIFFE ID as key; servers based on go-spiffe send the bare name.
        names = (f"{SCHEME}{self._source.trust_domain}", self._source.trust_domain)
        # The last of equal keys counts, as in every protobuf map implementation.
        return next((one.value for one in reversed(message.bundles) if one.key.rstrip("/") in names), b"")


def bundle_of_api(domain: TrustDomain, *, x509: bytes, jwt: bytes = b"", wit: bytes = b"") -> TrustBundle:
    """Build a bundle from its parts: concatenated DER certificates, and plain JWK Sets. Raises Malformed."""
    if len(x509) > BUNDLE_BYTES_MAX:
        raise BUNDLE_SIZE(f"more than {BUNDLE_BYTES_MAX} bytes")
    authorities = certificates(x509)
    for one in authorities:
        authority_key(one)
    return TrustBundle(
        trust_domain=domain,
        x509_authorities=authorities,
        jwt_authorities=parse_jwt_bundle(jwt, domain=domain).jwt_authorities if jwt else {},
        wit_authorities=parse_wit_bundle(wit, domain=domain).wit_authorities if wit else {},
    )

"""The bundle of a foreign trust domain as somebody else's Workload API hands it out."""

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
    """Implements ports.BundleEndpoint for a Workload API. Only the entry of the configured trust domain is looked at.

    A bundle from here has neither sequence nor refresh hint: the API gives none, and pushes changes instead.
    """

    def __init__(self, *, source: FederationSource, fetch_seconds_max: float = FETCH_SECONDS_MAX) -> None:
        self._source = source
        self._fetch_seconds_max = fetch_seconds_max
        self._seen: dict[str, bytes] = {}

    @property
    def source(self) -> FederationSource:
        """What it was made for."""
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
            # What a message leaves out was withdrawn (SPIFFE Workload API, section 4.3).
            why = "this Workload API has no bundle of it"
            raise bundle_unavailable(domain, why, code=BUNDLE_WITHDRAWN)
        try:
            return bundle_of_api(domain, x509=x509, jwt=jwt, wit=wit)
        except Malformed as fault:
            raise bundle_unavailable(domain, fault.message, code=BUNDLE_MALFORMED) from None

    async def wait(self, seconds: float) -> None:
        """Until the API pushes another bundle than was fetched, or the seconds are over. Reconnects by itself."""
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
        """Our domain's entry in the first message of a stream; empty where there is none."""
        entry = b""
        try:
            async with aclosing(messages(self._source.address, *call)) as stream:
                entry = self._entry(cast("Bundles", await anext(stream)))
        except NotOffered:
            pass
        self._seen[call[0]] = entry
        return entry

    def _entry(self, message: Bundles) -> bytes:
        # Section 6.2 has the trust domain's SPIFFE ID here; servers made with go-spiffe are seen to send its bare name.
        names = (f"{SCHEME}{self._source.trust_domain}", self._source.trust_domain)
        # The last of equal keys counts, as in every reader of protobuf maps.
        return next((one.value for one in reversed(message.bundles) if one.key.rstrip("/") in names), b"")


def bundle_of_api(domain: TrustDomain, *, x509: bytes, jwt: bytes = b"", wit: bytes = b"") -> TrustBundle:
    """One bundle of its parts: certificates in DER one after another, and plain JWK Sets. Raises Malformed."""
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

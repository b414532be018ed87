"""Fetch a foreign trust domain's bundle over HTTPS, with profile https_web or https_spiffe."""

from __future__ import annotations

import ssl
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

import anyio
import httpx2
from anyio import to_thread

from answerable.adapters.bundle_http.svid_handshake import svid_context
from answerable.connection_fault import certificate_fault, connection_fault
from answerable.core.identity.svid.federation import (
    bundle_unavailable,
    check_endpoint_url,
)
from answerable.core.identity.svid.trust_bundle import BUNDLE_BYTES_MAX, parse_bundle
from answerable.core.identity.svid.x509_svid import verified_x509_svid
from answerable.errors import AnswerableError, Malformed, Unavailable, UnavailableCode, shown
from answerable.errors.codes.identity import (
    BUNDLE_ANSWER,
    BUNDLE_MALFORMED,
    BUNDLE_SIZE,
    BUNDLE_UNREACHABLE,
    BUNDLE_UNTRUSTED,
    FEDERATION_PROFILE_BROKEN,
)
from answerable.plain_file import read_plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.identity.names.spiffe_id import SpiffeId, TrustDomain
    from answerable.core.identity.svid.federation import FederationSource
    from answerable.core.identity.svid.trust_bundle import TrustBundle
    from answerable.ports.clock import Clock

REDIRECTS_MAX: Final = 3
FETCH_SECONDS_MAX: Final = 30.0
"""Time limit from the first connection to the last byte, redirects included."""

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class HttpBundleEndpoint:
    """Implements ports.BundleEndpoint for https_web and https_spiffe.

    Each fetch opens its own connections, sends no credentials, and ignores proxy settings of the environment.
    """

    def __init__(
        self,
        *,
        source: FederationSource,
        bundle_of: Callable[[TrustDomain], TrustBundle | None],
        clock: Clock,
        fetch_seconds_max: float = FETCH_SECONDS_MAX,
    ) -> None:
        """bundle_of: returns the currently known bundle of a trust domain, which authenticates the server of
        https_spiffe; `source.file` does until a bundle is known."""
        self._source = source
        self._bundle_of = bundle_of
        self._clock = clock
        self._fetch_seconds_max = fetch_seconds_max
        self._spent = b""

    @property
    def source(self) -> FederationSource:
        """The federation source that this endpoint reads."""
        return self._source

    async def wait(self, seconds: float) -> None:
        """Return after `seconds`: HTTPS gives no notice of a change."""
        await anyio.sleep(seconds)

    async def fetch(self) -> TrustBundle:
        refused: list[str] = []
        try:
            with anyio.fail_after(self._fetch_seconds_max):
                context = await to_thread.run_sync(self._context, refused, abandon_on_cancel=True)
                document = await self._followed(context)
        except TimeoutError:
            why = f"no whole answer within {self._fetch_seconds_max:g} seconds"
            raise self._unavailable(why, code=BUNDLE_UNREACHABLE) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            if refused or certificate_fault(error):
                reason = refused[-1] if refused else connection_fault(error)
                raise self._unavailable(reason, code=BUNDLE_UNTRUSTED) from None
            raise self._unavailable(connection_fault(error), code=BUNDLE_UNREACHABLE) from None
        try:
            return parse_bundle(document, domain=self._source.trust_domain)
        except Malformed as fault:
            raise self._unavailable(fault.message, code=BUNDLE_MALFORMED) from None

    async def _followed(self, context: ssl.SSLContext) -> bytes:
        """Follow redirects and return the document. Every redirect target must satisfy the same profile, and none is
        remembered."""
        url = self._source.address
        transport = httpx2.AsyncHTTPTransport(verify=context, trust_env=False)
        headers = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "answerable"}
        async with httpx2.AsyncClient(
            transport=transport, timeout=self._fetch_seconds_max, trust_env=False, headers=headers
        ) as client:
            for _ in range(REDIRECTS_MAX + 1):
                # A server's cookie is a credential, so it is not sent on to the next URL.
                client.cookies.clear()
                async with client.stream("GET", url, follow_redirects=False) as response:
                    if response.status_code in _REDIRECTS:
                        url = self._target(url, response.headers.get("location", ""))
                        continue
                    if response.status_code != 200:
                        raise self._unavailable(f"status {response.status_code}", code=BUNDLE_ANSWER)
                    return await self._document(response)
        raise self._unavailable(f"more than {REDIRECTS_MAX} redirects", code=BUNDLE_ANSWER)

    async def _document(self, response: httpx2.Response) -> bytes:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise self._unavailable("a packed document, which nobody asked for", code=BUNDLE_ANSWER)
        received = bytearray()
        # Raw bytes: nothing is decompressed, so a small response cannot expand.
        async for chunk in response.aiter_raw():
            received += chunk
            if len(received) > BUNDLE_BYTES_MAX:
                raise self._unavailable(f"more than {BUNDLE_BYTES_MAX} bytes", code=BUNDLE_ANSWER)
        return bytes(received)

    def _target(self, url: str, location: str) -> str:
        try:
            target = urljoin(url, location) if location else ""
            check_endpoint_url(target)
        except (ValueError, Malformed):
            raise self._unavailable(f"a redirect to {shown(location)}", code=BUNDLE_ANSWER) from None
        return target

    def _context(self, refused: list[str]) -> ssl.SSLContext:
        """Build the TLS context. Blocks: reads files. refused: receives the reason when the server's certificate chain
        is rejected."""
        endpoint = self._source.endpoint_id
        if self._source.profile == "https_web" and endpoint is None:
            try:
                context = ssl.create_default_context(cafile=self._source.file or None)
            except (OSError, ssl.SSLError) as error:
                raise self._unavailable(
                    f"authorities in {shown(self._source.file)}: {type(error).__name__}",
                    code=BUNDLE_UNTRUSTED,
                ) from None
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.set_alpn_protocols(["http/1.1"])
            return context
        if self._source.profile != "https_spiffe" or endpoint is None:
            raise FEDERATION_PROFILE_BROKEN(f"profile {self._source.profile} is not of HTTPS")
        known = self._anchor(endpoint)

        def judge(chain: tuple[bytes, ...]) -> None:
            try:
                svid = verified_x509_svid(
                    chain,
                    bundle_of=lambda domain: known if domain == known.trust_domain else None,
                    now=self._clock.now(),
                )
            except AnswerableError as fault:
                refused.append(f"its server is not known by its SVID: {fault.message}")
                raise ssl.SSLError("no X.509-SVID that counts") from None
            if svid.id != endpoint:
                refused.append(f"its server is {shown(svid.id)}, expected {shown(endpoint)}")
                raise ssl.SSLError("another SPIFFE ID")

        return svid_context(judge)

    def _anchor(self, endpoint: SpiffeId) -> TrustBundle:
        """Return the bundle that authenticates the server: the known bundle of its trust domain, or the configured file
        at first contact.

        Once a bundle is known, the present content of the file is never trusted again, even if the known bundle is
        dropped: keys may have been withdrawn since the file was written. A file with new content is trusted.
        """
        known = self._bundle_of(endpoint.trust_domain)
        try:
            document = self._file()
            digest = sha256(document).digest()
            if known is not None:
                self._spent = self._spent or digest
                return known
            if document and digest != self._spent:
                return parse_bundle(document, domain=endpoint.trust_domain)
            why = (
                "its bundle for the first contact is outdated"
                if document
                else "there is none for the first contact"
            )
        except OSError as error:
            why = f"{shown(self._source.file)}: {type(error).__name__}"
        except Malformed as fault:
            why = f"{shown(self._source.file)}: {fault.message}"
        if known is not None:
            return known
        raise self._unavailable(
            f"no bundle of {shown(endpoint.trust_domain)} to know its server by: {why}: put a new one into the file",
            code=BUNDLE_UNTRUSTED,
        )

    def _file(self) -> bytes:
        """Read the configured file; empty if none is configured. It is read for each fetch, so that a new file needs no
        restart."""
        if not self._source.file:
            return b""
        document = read_plain(Path(self._source.file), BUNDLE_BYTES_MAX + 1)
        if len(document) > BUNDLE_BYTES_MAX:
            raise BUNDLE_SIZE(f"more than {BUNDLE_BYTES_MAX} bytes")
        return document

    def _unavailable(self, why: str, *, code: UnavailableCode) -> Unavailable:
        return bundle_unavailable(self._source.trust_domain, why, code=code)

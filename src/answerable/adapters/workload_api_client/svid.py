"""An X.509-SVID of our own from somebody else's Workload API, kept fresh as it is pushed."""

from __future__ import annotations

import logging
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

import anyio
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from answerable.adapters.workload_api_client.bundles import bundle_of_api
from answerable.adapters.workload_api_client.calls import certificates, messages, retry_seconds
from answerable.core.identity.spiffe_id import spiffe_id
from answerable.core.identity.x509_svid import verified_x509_svid
from answerable.errors import AnswerableError, Malformed, Unavailable, Unverified, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.adapters.workload_api_client.messages import X509Svid, X509Svids
    from answerable.core.identity.spiffe_id import SpiffeId
    from answerable.ports.clock import Clock

SVIDS_MAX: Final = 1_000

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedSvid:
    """chain: DER, leaf first. key: PKCS #8, DER."""

    id: SpiffeId
    chain: tuple[bytes, ...]
    key: bytes = field(repr=False)


class WorkloadApiSvid:
    """Follows FetchX509SVID. Believes nothing that does not verify against the bundle beside it."""

    def __init__(
        self,
        *,
        address: str,
        clock: Clock,
        changed: Callable[[FetchedSvid | None], None],
        wanted: SpiffeId | None = None,
    ) -> None:
        """wanted: the one to take of several; None takes the first, the default identity. changed: called with each
        new one, and with None when the API has withdrawn it."""
        self._address = address
        self._clock = clock
        self._changed = changed
        self._wanted = wanted
        self._current: FetchedSvid | None = None
        self._fault = "not asked yet"

    @property
    def fault(self) -> str:
        """Why there is nothing new, for operators; empty while all is well."""
        return self._fault

    def current(self) -> FetchedSvid | None:
        """The newest; while the API is out of reach, the last. None before the first and after a withdrawal."""
        return self._current

    async def follow(self) -> None:
        """Until cancelled; reconnects with a growing pause. Raises what `changed` raises."""
        failures = 0
        while True:
            try:
                async with aclosing(messages(self._address, "FetchX509SVID", "X509SVIDs")) as stream:
                    async for message in stream:
                        failures = 0
                        self._take(cast("X509Svids", message))
            except Unavailable as error:
                if error.code == "workload_api.denied":
                    self._replace(None)
                self._fault = error.message
                failures += 1
                _log.warning("%s: %s", error.code, error.message)
            await anyio.sleep(retry_seconds(failures))

    def _take(self, message: X509Svids) -> None:
        """A message is the whole state: what is not in it was withdrawn."""
        try:
            chosen = self._chosen(message)
            self._replace(self._verified(chosen) if chosen is not None else None)
            self._fault = "" if chosen is not None else "it has no such SVID for us"
        except AnswerableError as error:
            # The last good one stays: it ends by itself.
            self._fault = error.message
            _log.warning("%s: %s", error.code, error.message)

    def _chosen(self, message: X509Svids) -> X509Svid | None:
        if len(message.svids) > SVIDS_MAX:
            raise Malformed(f"{len(message.svids)} SVIDs, at most {SVIDS_MAX}", code="workload_api.count")
        for one in message.svids:
            if self._wanted is None or one.spiffe_id == str(self._wanted):
                return one
        return None

    def _verified(self, one: X509Svid) -> FetchedSvid:
        named = spiffe_id(one.spiffe_id)
        bundle = bundle_of_api(named.trust_domain, x509=one.bundle)
        svid = verified_x509_svid(
            certificates(one.x509_svid),
            bundle_of=lambda domain: bundle if domain == named.trust_domain else None,
            now=self._clock.now(),
        )
        try:
            public = load_der_private_key(one.x509_svid_key, None).public_key()
        except (ValueError, TypeError):
            raise Malformed("its key is no PKCS #8 key", code="workload_api.key") from None
        spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if svid.id != named or svid.public_key != spki:
            raise Unverified(
                f"SVID, key and the name {shown(named)} do not belong together", code="svid.pair", step="svid"
            )
        return FetchedSvid(id=svid.id, chain=(svid.leaf, *svid.chain), key=one.x509_svid_key)

    def _replace(self, svid: FetchedSvid | None) -> None:
        if svid != self._current:
            self._current = svid
            self._changed(svid)

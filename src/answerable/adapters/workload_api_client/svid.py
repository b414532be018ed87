"""Fetch this process's own SVID from another system's Workload API, at the moment it is needed."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

import anyio
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from answerable.adapters.workload_api_client.bundles import bundle_of_api
from answerable.adapters.workload_api_client.calls import answer, certificates, messages
from answerable.core.identity.names.spiffe_id import spiffe_id
from answerable.core.identity.svid.x509_svid import verified_x509_svid
from answerable.errors import Unavailable, shown
from answerable.errors.codes.identity import SVID_PAIR
from answerable.errors.codes.workloads import (
    WORKLOAD_API_COUNT,
    WORKLOAD_API_KEY,
    WORKLOAD_API_NONE,
    WORKLOAD_API_UNREACHABLE,
)

if TYPE_CHECKING:
    from answerable.adapters.workload_api_client.messages import JwtSvids, X509Svid, X509Svids
    from answerable.core.identity.names.spiffe_id import SpiffeId
    from answerable.ports.clock import Clock

SVIDS_MAX: Final = 1_000
FETCH_SECONDS_MAX: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedSvid:
    """An X.509-SVID with its key. chain: DER, leaf first. key: PKCS #8, DER."""

    id: SpiffeId
    chain: tuple[bytes, ...]
    key: bytes = field(repr=False)


class WorkloadApiSvid:
    """A client of one Workload API. Every method raises Unavailable (`workload_api.*`) if the API provides nothing.

    wanted: which SVID to take of several; None takes the first, the default identity (SPIFFE Workload API, section
    5.1).
    """

    def __init__(
        self,
        *,
        address: str,
        clock: Clock,
        wanted: SpiffeId | None = None,
        fetch_seconds_max: float = FETCH_SECONDS_MAX,
    ) -> None:
        self._address = address
        self._clock = clock
        self._wanted = wanted
        self._fetch_seconds_max = fetch_seconds_max

    async def x509(self) -> FetchedSvid:
        """Return this process's current X.509-SVID, after verifying it against the bundle sent with it.

        Raises Malformed and Unverified as well, if SVID, key and bundle do not match.
        """
        found: FetchedSvid | None = None
        with anyio.move_on_after(self._fetch_seconds_max):
            async with aclosing(messages(self._address, "FetchX509SVID", "X509SVIDs")) as stream:
                found = self._verified(self._chosen(cast("X509Svids", await anext(stream))))
        if found is None:
            raise _slow(self._fetch_seconds_max)
        return found

    async def jwt(self, audience: str) -> str:
        """Return a JWT-SVID of this process for one audience, unverified: the audience verifies it."""
        wanted = str(self._wanted) if self._wanted is not None else ""
        reply: JwtSvids | None = None
        with anyio.move_on_after(self._fetch_seconds_max):
            asked = {"audience": [audience], "spiffe_id": wanted}
            reply = cast(
                "JwtSvids", await answer(self._address, "FetchJWTSVID", "JWTQuery", "JWTSVIDs", asked)
            )
        if reply is None:
            raise _slow(self._fetch_seconds_max)
        for one in reply.svids:
            if wanted in ("", one.spiffe_id):
                return one.svid
        raise WORKLOAD_API_NONE()

    def _chosen(self, message: X509Svids) -> X509Svid:
        if len(message.svids) > SVIDS_MAX:
            raise WORKLOAD_API_COUNT(f"got {len(message.svids)} SVIDs, expected at most {SVIDS_MAX}")
        for one in message.svids:
            if self._wanted is None or one.spiffe_id == str(self._wanted):
                return one
        raise WORKLOAD_API_NONE()

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
            raise WORKLOAD_API_KEY() from None
        spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if svid.id != named or svid.public_key != spki:
            raise SVID_PAIR(f"the SVID, its key and the name {shown(named)} do not match")
        return FetchedSvid(id=svid.id, chain=(svid.leaf, *svid.chain), key=one.x509_svid_key)


def _slow(seconds: float) -> Unavailable:
    return WORKLOAD_API_UNREACHABLE(f"workload api: no answer within {seconds:g} seconds")

"""The RPCs of the SPIFFE Workload API, bound to one connection (SPIFFE Workload API, sections 5 to 7)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from answerable.apps.workload_api import sets, streams
from answerable.apps.workload_api.call import Call, denied, invalid
from answerable.apps.workload_api.messages import schema
from answerable.apps.workload_api.sets import Sight
from answerable.core.identity.keys.compact_jws import TOKEN_CHARS_MAX
from answerable.core.identity.names.spiffe_terms import WORKLOAD_API
from answerable.core.identity.svid.jwt_svid import AUDIENCE_CHARS_MAX, AUDIENCES_MAX
from answerable.errors import Malformed, Refused, Unverified

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from answerable.apps.workload_api.peer import PeerProcess
    from answerable.apps.workload_api.services import Identity, WorkloadServices
    from answerable.core.identity.names.principal import UnixMillis


class WorkloadApi:
    """The RPCs with which one process fetches its own identities."""

    def __init__(
        self,
        needs: WorkloadServices,
        peer: PeerProcess,
        speaks: Callable[[], Awaitable[None]],
        *,
        wit: bool,
        recheck_seconds: float,
    ) -> None:
        """speaks: returns once the process has answered a PING, as `PeerConnection.speaks`."""
        self._needs = needs
        self._peer = peer
        self._speaks = speaks
        self._wit = wit
        self._recheck_seconds = recheck_seconds

    def methods(self) -> Mapping[str, Callable[[Call], Awaitable[None]]]:
        """Return the RPCs by path."""
        bundles = functools.partial(functools.partial, self.fetch_bundles)
        found: dict[str, Callable[[Call], Awaitable[None]]] = {
            "FetchX509SVID": self.fetch_x509_svid,
            "FetchX509Bundles": bundles(encoded=sets.x509_bundles, answer="X509BundlesResponse"),
            "FetchJWTSVID": self.fetch_jwt_svid,
            "FetchJWTBundles": bundles(encoded=sets.jwt_bundles, answer="JWTBundlesResponse"),
            "ValidateJWTSVID": self.validate_jwt_svid,
        }
        if self._wit:
            found["FetchWITSVID"] = self.fetch_wit_svid
            found["FetchWITBundles"] = bundles(encoded=sets.wit_bundles, answer="WITBundlesResponse")
        return {f"/{WORKLOAD_API}/{name}": rpc for name, rpc in found.items()}

    async def fetch_x509_svid(self, call: Call) -> None:
        """Stream all SVIDs with keys, this domain's bundle and the federated ones."""
        await call.request()

        async def look() -> Sight:
            return Sight(identities=await self._identities(), bundles=sets.x509_bundles(self._needs))

        async def fill(answer: Any, sight: Sight) -> UnixMillis:
            return await sets.fill_x509(answer, sight, self._needs)

        await self._keep_sending(call, look, fill, "X509SVIDResponse")

    async def fetch_wit_svid(self, call: Call) -> None:
        """Stream WIT-SVIDs with keys, of all identities or the requested one."""
        wanted = (await call.request()).spiffe_id

        async def look() -> Sight:
            # Removing a key from the bundle invalidates its SVIDs: a change of bundles must lead to new ones, too.
            bundles = sets.wit_bundles(self._needs)
            return Sight(identities=only(await self._identities(), wanted), bundles=bundles)

        async def fill(answer: Any, sight: Sight) -> UnixMillis:
            return await sets.fill_wit(answer, sight, self._needs)

        await self._keep_sending(call, look, fill, "WITSVIDResponse")

    async def fetch_bundles(
        self, call: Call, *, encoded: Callable[[WorkloadServices], dict[str, bytes]], answer: str
    ) -> None:
        """Stream this domain's bundle and the federated ones, for X.509, JWT or WIT."""
        await call.request()

        async def look() -> Sight:
            await self._identities()
            return Sight(identities=(), bundles=encoded(self._needs))

        async def fill(message: Any, sight: Sight) -> None:
            for domain, bundle in sight.bundles.items():
                # WIT bundles are the one map with text values; the other maps have bytes.
                message.bundles[domain] = bundle.decode() if encoded is sets.wit_bundles else bundle

        await self._keep_sending(call, look, fill, answer)

    async def fetch_jwt_svid(self, call: Call) -> None:
        """Return JWT-SVIDs of all identities or the requested one."""
        request = await call.request()
        audience = checked_audience(request.audience)
        sets.check_ready(self._needs)
        identities = only(await self._identities(), request.spiffe_id)
        answer = schema().message("JWTSVIDResponse")()
        await sets.fill_jwt(answer, identities, audience, self._needs)
        await call.send(answer)

    async def validate_jwt_svid(self, call: Call) -> None:
        """Validate a JWT-SVID; return its subject and claims."""
        request = await call.request()
        (audience,) = checked_audience([request.audience])
        if not 0 < len(request.svid) <= TOKEN_CHARS_MAX:
            raise invalid(f"svid must have 1 to {TOKEN_CHARS_MAX} characters")
        sets.check_ready(self._needs)
        await self._identities()
        try:
            judged = await self._needs.judge_jwt_svid(request.svid, audience=audience)
        except (Malformed, Unverified, Refused) as error:
            raise invalid(f"invalid JWT-SVID: {error.code}") from None
        answer = schema().message("ValidateJWTSVIDResponse")(spiffe_id=str(judged.id))
        answer.claims.update(judged.claims)
        await call.send(answer)

    async def _identities(self) -> tuple[Identity, ...]:
        return await streams.identities_of(self._needs, self._peer, self._speaks)

    async def _keep_sending(
        self,
        call: Call,
        look: Callable[[], Awaitable[Sight]],
        fill: Callable[[Any, Sight], Awaitable[UnixMillis | None]],
        answer: str,
    ) -> None:
        await streams.keep_sending(
            call,
            self._needs,
            look=look,
            fill=fill,
            answer=schema().message(answer),
            recheck_seconds=self._recheck_seconds,
        )


def checked_audience(audience: Any) -> tuple[str, ...]:
    """Check the requested audience. Raises GRPCError (INVALID_ARGUMENT) if it is missing, empty, too long or has too
    many values."""
    said = tuple(audience)
    if not 0 < len(said) <= AUDIENCES_MAX or not all(0 < len(one) <= AUDIENCE_CHARS_MAX for one in said):
        raise invalid(
            f"audience must have 1 to {AUDIENCES_MAX} values of 1 to {AUDIENCE_CHARS_MAX} characters"
        )
    return said


def only(identities: tuple[Identity, ...], wanted: str) -> tuple[Identity, ...]:
    """Return the requested identities. Raises GRPCError (PERMISSION_DENIED) if the requested one is not the
    caller's."""
    kept = tuple(identity for identity in identities if not wanted or str(identity.id) == wanted)
    if not kept:
        raise denied()
    return kept

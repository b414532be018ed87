"""The RPCs of the SPIFFE Broker API, bound to one connection: listed processes fetch identities for other processes.

Laws: brokers, and for whom each may fetch, are listed, and every document fetched in this way names its broker; a
reference is resolved by this server and never trusted; the referenced process is held by a pidfd while anything is
sent, and nothing is sent once it has ended; a process that is no broker learns nothing about any process.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from answerable.apps.workload_api import sets, streams
from answerable.apps.workload_api.api import checked_audience, only
from answerable.apps.workload_api.call import Call, denied, invalid
from answerable.apps.workload_api.error_details import ErrorReason
from answerable.apps.workload_api.messages import schema
from answerable.apps.workload_api.peer import PROC, PeerProcess, referenced_process
from answerable.apps.workload_api.sets import Sight
from answerable.core.identity.names.spiffe_terms import (
    BROKER_API,
    BROKER_PACKAGE,
    PID_REFERENCE,
    REFERENCE_INVALID,
    WORKLOAD_NOT_ENTITLED,
    WORKLOAD_NOT_FOUND,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from pathlib import Path

    from answerable.apps.workload_api.services import Identity, WorkloadServices
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.names.spiffe_id import SpiffeId


class BrokerApi:
    """The RPCs with which one process fetches identities for others."""

    def __init__(
        self,
        needs: WorkloadServices,
        peer: PeerProcess,
        speaks: Callable[[], Awaitable[None]],
        *,
        recheck_seconds: float,
        proc: Path = PROC,
    ) -> None:
        """speaks: returns once the process has answered a PING, as `PeerConnection.speaks`."""
        self._needs = needs
        self._peer = peer
        self._speaks = speaks
        self._recheck_seconds = recheck_seconds
        self._proc = proc

    def methods(self) -> Mapping[str, Callable[[Call], Awaitable[None]]]:
        """Return the RPCs by path."""
        found = {
            "SubscribeToX509SVID": self.subscribe_to_x509_svid,
            "SubscribeToX509Bundles": self.subscribe_to_x509_bundles,
            "FetchJWTSVID": self.fetch_jwt_svid,
            "SubscribeToJWTBundles": self.subscribe_to_jwt_bundles,
        }
        return {f"/{BROKER_API}/{name}": rpc for name, rpc in found.items()}

    async def subscribe_to_x509_svid(self, call: Call) -> None:
        """Stream all SVIDs of the workload with keys, this domain's bundle and the federated ones."""
        request = await self._request(call)
        with self._referenced(request) as workload:

            async def look() -> Sight:
                broker, identities = await self._identities(workload)
                return Sight(identities=identities, bundles=sets.x509_bundles(self._needs), broker=broker)

            async def fill(answer: Any, sight: Sight) -> UnixMillis:
                return await sets.fill_x509(answer, sight, self._needs)

            await self._keep_sending(call, workload, look, fill, "SubscribeToX509SVIDResponse")

    async def subscribe_to_x509_bundles(self, call: Call) -> None:
        """Stream the X.509 bundles for the workload."""
        await self._send_bundles(call, sets.x509_bundles, "SubscribeToX509BundlesResponse")

    async def subscribe_to_jwt_bundles(self, call: Call) -> None:
        """Stream the JWT bundles for the workload."""
        await self._send_bundles(call, sets.jwt_bundles, "SubscribeToJWTBundlesResponse")

    async def fetch_jwt_svid(self, call: Call) -> None:
        """Return JWT-SVIDs of all identities of the workload or of the requested one."""
        request = await self._request(call)
        audience = checked_audience(request.audience)
        sets.check_ready(self._needs)
        with self._referenced(request) as workload:
            broker, found = await self._identities(workload)
            identities = only(found, request.spiffe_id)
            answer = schema().message(f"{BROKER_PACKAGE}.FetchJWTSVIDResponse")()
            await sets.fill_jwt(answer, identities, audience, self._needs, broker)
            if not workload.is_alive():
                raise _not_found()
            await call.send(answer)

    async def _request(self, call: Call) -> Any:
        """Return the request of a process that is a broker. Raises GRPCError (PERMISSION_DENIED) for others."""
        request = await call.request()
        await self._speaks()
        # The check may have taken a while, and its answer may be about another process that has reused the pid.
        if not await self._needs.may_broker(self._peer) or not self._peer.is_alive():
            raise denied("workload_api.no_broker")
        return request

    @contextmanager
    def _referenced(self, request: Any) -> Iterator[PeerProcess]:
        process = referenced_process(_pid(request), proc=self._proc)
        if process is None:
            raise _not_found()
        try:
            yield process
        finally:
            process.close()

    async def _identities(self, workload: PeerProcess) -> tuple[SpiffeId, tuple[Identity, ...]]:
        """Identify the broker and the workload. Raises GRPCError (NOT_FOUND, PERMISSION_DENIED)."""
        await self._speaks()
        if not workload.is_alive():
            raise _not_found()
        found = await self._needs.identify_for(self._peer, workload)
        # As in `_request`, for both processes.
        if found is None or not self._peer.is_alive():
            raise denied("workload_api.no_broker", reason=WORKLOAD_NOT_ENTITLED)
        broker, identities = found
        if not identities or not workload.is_alive():
            raise denied(reason=WORKLOAD_NOT_ENTITLED)
        return broker, sets.with_unique_hints(identities)

    async def _send_bundles(
        self, call: Call, encoded: Callable[[WorkloadServices], dict[str, bytes]], answer: str
    ) -> None:
        request = await self._request(call)
        with self._referenced(request) as workload:

            async def look() -> Sight:
                await self._identities(workload)
                return Sight(identities=(), bundles=encoded(self._needs))

            async def fill(message: Any, sight: Sight) -> None:
                message.bundles.update(sight.bundles)

            await self._keep_sending(call, workload, look, fill, answer)

    async def _keep_sending(
        self,
        call: Call,
        workload: PeerProcess,
        look: Callable[[], Awaitable[Sight]],
        fill: Callable[[Any, Sight], Awaitable[UnixMillis | None]],
        answer: str,
    ) -> None:
        async def filled(message: Any, sight: Sight) -> UnixMillis | None:
            renew_at = await fill(message, sight)
            # Issuing may have taken a while, too.
            if not workload.is_alive():
                raise _not_found()
            return renew_at

        await streams.keep_sending(
            call,
            self._needs,
            look=look,
            fill=filled,
            answer=schema().message(f"{BROKER_PACKAGE}.{answer}"),
            recheck_seconds=self._recheck_seconds,
            hear=lambda changed: _hear_end(workload, changed),
        )


def _hear_end(process: PeerProcess, ended: Callable[[], None]) -> Callable[[], None]:
    """Call `ended` once, when the process has ended; return what unregisters it."""
    loop, pidfd = asyncio.get_running_loop(), process.pidfd

    def stop() -> None:
        loop.remove_reader(pidfd)

    def tell() -> None:
        stop()
        ended()

    loop.add_reader(pidfd, tell)
    return stop


def _pid(request: Any) -> int:
    """Return the pid that a request references. Raises GRPCError (INVALID_ARGUMENT) for any other kind of reference."""
    packed = request.reference.reference
    if packed.type_url.rpartition("/")[2] != PID_REFERENCE:
        raise invalid(
            "reference a workload by its pid: no other kind is known here"
            if packed.type_url
            else "no reference",
            reason=REFERENCE_INVALID,
        )
    try:
        pid = int(schema().message(PID_REFERENCE).FromString(packed.value).pid)
    except DecodeError:
        raise invalid("the reference is no WorkloadPIDReference", reason=REFERENCE_INVALID) from None
    if pid <= 0:
        raise invalid("a pid is a positive number", reason=REFERENCE_INVALID)
    return pid


def _not_found() -> GRPCError:
    return GRPCError(Status.NOT_FOUND, "there is no such workload", ErrorReason(reason=WORKLOAD_NOT_FOUND))

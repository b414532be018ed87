"""Declare what the Workload API needs from the rest of the system. Wiring and tests provide it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from answerable.apps.workload_api.peer import PeerProcess
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.names.spiffe_id import SpiffeId, TrustDomain
    from answerable.core.identity.svid.jwt_svid import JwtSvid
    from answerable.core.identity.svid.trust_bundle import TrustBundle
    from answerable.core.identity.svid.x509_svid import X509Svid


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One name that a workload may bear. hint: the operator's note on its purpose, at most 1024 bytes."""

    id: SpiffeId
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedWit:
    """An issued WIT-SVID. token: compact. expires_at: its `exp`."""

    token: str
    expires_at: UnixMillis


class WorkloadServices(Protocol):
    """The Workload API's dependencies, all called in the front's event loop.

    Any method may raise Unavailable: the caller is then told to retry (UNAVAILABLE).
    """

    @property
    def domain(self) -> TrustDomain:
        """This server's trust domain."""
        ...

    async def identify(self, peer: PeerProcess) -> tuple[Identity, ...]:
        """Return the identities of this process now; empty, Refused or Unverified for none. Called again before
        anything is sent.

        `peer.pidfd` is open until this returns or is cancelled: a thread that may outlive the call must duplicate it.
        """
        ...

    async def may_broker(self, broker: PeerProcess) -> bool:
        """Whether a process may fetch identities for any other process at all."""
        ...

    async def identify_for(
        self, broker: PeerProcess, workload: PeerProcess
    ) -> tuple[SpiffeId, tuple[Identity, ...]] | None:
        """Return the broker's and the workload's identities, as `identify`; None if the broker may not fetch for that
        workload. The permission and the result follow from one measurement of the workload."""
        ...

    async def x509_svid(
        self, identity: SpiffeId, public_key: EllipticCurvePublicKey, *, broker: SpiffeId | None = None
    ) -> X509Svid:
        """Issue an X.509-SVID for a key that was just generated. broker: who fetches it, if not its workload."""
        ...

    async def jwt_svid(
        self, identity: SpiffeId, audience: tuple[str, ...], *, broker: SpiffeId | None = None
    ) -> str:
        """Issue a JWT-SVID. broker: who fetches it, if not its workload."""
        ...

    async def wit_svid(self, identity: SpiffeId, public_key: EllipticCurvePublicKey) -> IssuedWit:
        """Issue a WIT-SVID for a key that was just generated."""
        ...

    async def judge_jwt_svid(self, token: str, *, audience: str) -> JwtSvid:
        """Validate a JWT-SVID of this or a federated domain. Raises Malformed, Unverified."""
        ...

    def bundles(self) -> Mapping[TrustDomain, TrustBundle]:
        """Return all bundles, as ports.TrustSource does; without this domain's own the API is not ready."""
        ...

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` in this loop when bundles or identities may have changed; return what unregisters it."""
        ...

    def now(self) -> UnixMillis:
        """Return the time of the clock that dates SVIDs."""
        ...

    def entropy(self, size: int) -> bytes:
        """Return random bytes, for jitter."""
        ...

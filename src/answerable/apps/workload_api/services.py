"""What this door needs of the product around it. Wiring hands it over; tests hand over their own."""

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
    """One name a workload may bear. hint: what the operator says it is for, at most 1024 bytes."""

    id: SpiffeId
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedWit:
    """token: a WIT-SVID, compact. expires_at: its `exp`."""

    token: str
    expires_at: UnixMillis


class WorkloadServices(Protocol):
    """The product as this door sees it. All is called in the loop of the front.

    Anything may raise Unavailable: the caller is then told to come again (UNAVAILABLE).
    """

    @property
    def domain(self) -> TrustDomain:
        """Our own trust domain."""
        ...

    async def identify(self, peer: PeerProcess) -> tuple[Identity, ...]:
        """Who this process is now; empty, Refused or Unverified for nobody. Asked anew before anything is sent.

        `peer.pidfd` is open until this returns or is cancelled: a thread that may outlive it takes a copy.
        """
        ...

    async def may_broker(self, broker: PeerProcess) -> bool:
        """Whether a process may fetch identities for any other at all."""
        ...

    async def identify_for(
        self, broker: PeerProcess, workload: PeerProcess
    ) -> tuple[SpiffeId, tuple[Identity, ...]] | None:
        """Who a broker is, and who the workload, as `identify`; None where it may not fetch identities for that one.
        What is let and what is given follow from one measurement of the workload."""
        ...

    async def x509_svid(
        self, identity: SpiffeId, public_key: EllipticCurvePublicKey, *, broker: SpiffeId | None = None
    ) -> X509Svid:
        """Issue an X.509-SVID for a key that the door has just made. broker: who fetches it, if not its workload."""
        ...

    async def jwt_svid(
        self, identity: SpiffeId, audience: tuple[str, ...], *, broker: SpiffeId | None = None
    ) -> str:
        """Issue a JWT-SVID. broker: who fetches it, if not its workload."""
        ...

    async def wit_svid(self, identity: SpiffeId, public_key: EllipticCurvePublicKey) -> IssuedWit:
        """Issue a WIT-SVID for a key that the door has just made."""
        ...

    async def judge_jwt_svid(self, token: str, *, audience: str) -> JwtSvid:
        """Validate a JWT-SVID of our own or a federated domain. Raises Malformed, Unverified."""
        ...

    def bundles(self) -> Mapping[TrustDomain, TrustBundle]:
        """All bundles, as ports.TrustSource gives them; without our own the door is not ready."""
        ...

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` in this loop when bundles, or who somebody is, may have changed; returns what ends it."""
        ...

    def now(self) -> UnixMillis:
        """The clock that the times of SVIDs are of."""
        ...

    def entropy(self, size: int) -> bytes:
        """Random bytes, for jitter."""
        ...

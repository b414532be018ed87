"""Issue leases on a model provider as tickets of this broker, which alone adds the provider's key to requests.

Providers have no keys that live for a minute. The key stays valid after every lease has ended: only changing it at the
provider stops another holder of a copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from answerable.adapters.model_provider.scope import model_scope, scope_faults
from answerable.core.base64url import to_base64url
from answerable.core.lease.checkout import CheckOuts
from answerable.core.lease.credential import Credential, IssuerTraits, Revoked, Secret
from answerable.core.lease.name import account_of
from answerable.errors.codes.leases import LEASE_GONE

if TYPE_CHECKING:
    from answerable.adapters.model_provider.scope import ModelScope
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.lease.checkout import CheckOut
    from answerable.core.lease.credential import LeaseOrder
    from answerable.core.lease.name import LeaseName
    from answerable.core.lease.scope import Scope
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy
    from answerable.targets.standing_secret import StandingSecret

TICKET_BYTES: Final = 32
TRAITS: Final = IssuerTraits(boundary="broker", ends_by="broker")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLease:
    """One lease. ticket: what its holder presents."""

    scope: ModelScope
    ticket: str

    def __repr__(self) -> str:
        return "ModelLease()"


ModelLeases = CheckOuts[ModelLease]


def lease_behind(leases: ModelLeases, credential: Credential, at: UnixMillis) -> CheckOut[ModelLease]:
    """Return the lease of this credential. Raises Refused (`lease.gone`)."""
    out = leases.serving(credential.lease, at)
    ticket = credential.secret.reveal("ticket") if "ticket" in credential.secret.names() else ""
    if not compare_digest(ticket.encode(), out.kept.ticket.encode()):
        raise LEASE_GONE("the credential is not the one that was issued")
    return out


class ModelIssuer:
    """Implements ports.credential_issuer.CredentialIssuer with the broker's own records: the provider is not called."""

    def __init__(self, key: StandingSecret, *, leases: ModelLeases, clock: Clock, entropy: Entropy) -> None:
        self._key = key
        self._leases = leases
        self._clock = clock
        self._entropy = entropy

    @property
    def traits(self) -> IssuerTraits:
        return TRAITS

    def faults(self, scope: Scope) -> tuple[str, ...]:
        return scope_faults(scope)

    async def issue(self, order: LeaseOrder) -> Credential:
        scope = model_scope(order.scope)
        self._key.injection()
        ticket = to_base64url(self._entropy.bytes(TICKET_BYTES))
        self._leases.put(order.name, ModelLease(scope=scope, ticket=ticket), order.expires_at)
        return Credential(
            lease=order.name,
            account=account_of(order.name),
            expires_at=order.expires_at,
            secret=Secret(ticket=ticket),
        )

    async def renew(self, name: LeaseName, expires_at: UnixMillis) -> None:
        out = self._leases.serving(name, self._clock.now())
        out.expires_at = max(out.expires_at, expires_at)

    async def revoke(self, name: LeaseName) -> Revoked:
        cut = self._leases.end(name)
        self._leases.drop(name)
        return Revoked(sessions_cut=cut)

    async def live(self) -> tuple[LeaseName, ...]:
        return self._leases.names()

    async def granted(self, name: LeaseName) -> tuple[str, ...]:
        """Return the models of the lease: the broker itself enforces them."""
        out = self._leases.find(name)
        return () if out is None else tuple(sorted(f"model {one}" for one in out.kept.scope.models))

    async def close(self) -> None:
        """No connection is held."""

"""Issue leases on a standing secret: a key, password or client certificate that the broker adds to requests.

The target knows no leases. A lease is a ticket that is valid only for a session of this broker. The secret is read for
each request, so that a changed one takes effect. The secret stays valid after every lease has ended: only changing it
at the target stops another holder of a copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.adapters.http_target.leases import HttpLease
from answerable.adapters.http_target.scope import http_scope, scope_faults
from answerable.core.base64url import to_base64url
from answerable.core.lease.credential import Credential, IssuerTraits, Revoked, Secret
from answerable.core.lease.name import account_of

if TYPE_CHECKING:
    from answerable.adapters.http_target.leases import Leases
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.lease.credential import LeaseOrder
    from answerable.core.lease.name import LeaseName
    from answerable.core.lease.scope import Scope
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy
    from answerable.targets.standing_secret import StandingSecret

TICKET_BYTES: Final = 32
TRAITS: Final = IssuerTraits(boundary="broker", ends_by="broker")


class StandingIssuer:
    """Implements ports.credential_issuer.CredentialIssuer with the broker's own records: the target is not called."""

    def __init__(self, standing: StandingSecret, *, leases: Leases, clock: Clock, entropy: Entropy) -> None:
        self._standing = standing
        self._leases = leases
        self._clock = clock
        self._entropy = entropy

    @property
    def traits(self) -> IssuerTraits:
        return TRAITS

    def faults(self, scope: Scope) -> tuple[str, ...]:
        return scope_faults(scope, tokens=False)

    async def issue(self, order: LeaseOrder) -> Credential:
        scope = http_scope(order.scope, tokens=False)
        self._standing.injection()
        ticket = to_base64url(self._entropy.bytes(TICKET_BYTES))
        kept = HttpLease(scope=scope, secret=ticket, injection=self._standing.injection)
        self._leases.put(order.name, kept, order.expires_at)
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
        """Return the rules of the lease: the broker itself enforces them."""
        out = self._leases.find(name)
        return () if out is None else tuple(sorted(map(str, out.kept.scope.rules)))

    async def close(self) -> None:
        """No connection is held."""

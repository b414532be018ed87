"""Lend a static secret for one lease, for targets that offer nothing better.

The target knows no leases, and anyone with the value can use it until it is rotated. The issuer ensures that only the
broker gets the value, that each use is recorded, and that no lease has the value after its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from answerable.core.canonical import INTEGER_MAX
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential, IssuerTraits, Revoked
from answerable.core.lease.name import account_of
from answerable.errors import shown
from answerable.errors.codes.leases import LEASE_GONE, LEASE_SCOPE, LEASE_TAKEN, LEASE_UNTOLD

if TYPE_CHECKING:
    from collections.abc import Collection

    from answerable.core.lease.credential import Boundary, LeaseOrder
    from answerable.core.lease.name import LeaseName
    from answerable.core.lease.scope import Scope
    from answerable.ports.clock import Clock
    from answerable.ports.secret_store import CheckedOut, SecretStore

REMEMBERED_MS: Final = 86_400_000


class StaticIssuer:
    """Implements ports.credential_issuer.CredentialIssuer. secrets: the names that leases may have. boundary: `broker`
    if the target's own checks confine a lease to its scope, else `nobody`."""

    def __init__(
        self, *, store: SecretStore, clock: Clock, secrets: Collection[str], boundary: Boundary
    ) -> None:
        self._store = store
        self._clock = clock
        self._secrets = frozenset(secrets)
        self._lent: dict[LeaseName, tuple[str, UnixMillis]] = {}
        self._traits = IssuerTraits(boundary=boundary, ends_by="broker", revocable=False, cuts_sessions=False)

    @property
    def traits(self) -> IssuerTraits:
        return self._traits

    def faults(self, scope: Scope) -> tuple[str, ...]:
        """Check a scope, which is `{"secret": NAME}`."""
        value = scope.thaw()
        if not isinstance(value, dict) or set(value) != {"secret"}:
            return ("a scope has the member `secret`, and no other",)
        if value["secret"] not in self._secrets:
            known = ", ".join(sorted(self._secrets))
            return (f"{shown(value['secret'], 63)} is none of the target's secrets: {known}",)
        return ()

    async def issue(self, order: LeaseOrder) -> Credential:
        """Lend the secret. Raises Refused also as the store does (`secret.*`)."""
        if faults := self.faults(order.scope):
            raise LEASE_SCOPE(faults[0], reasons=faults)
        now = self._clock.now()
        for name in [name for name, (_, ends) in self._lent.items() if ends + REMEMBERED_MS < now]:
            del self._lent[name]
        if order.name in self._lent:
            raise LEASE_TAKEN(f"lease {shown(order.name)} already has its secret")
        wanted = self._wanted(order.scope)
        self._lent[order.name] = (wanted, order.expires_at)
        found = await anyio.to_thread.run_sync(self._check_out, wanted, account_of(order.name))
        return Credential(lease=order.name, account="", expires_at=order.expires_at, secret=found.secret)

    async def renew(self, name: LeaseName, expires_at: UnixMillis) -> None:
        """Extend the lease. Nothing changes at the target."""
        if name not in self._lent:
            raise LEASE_GONE(f"lease {shown(name)} no longer exists")
        self._lent[name] = (self._lent[name][0], expires_at)

    async def revoke(self, name: LeaseName) -> Revoked:
        """End the lease: the broker's copy is discarded; the secret itself is valid until it is rotated."""
        lent = self._lent.pop(name, None)
        if lent is None:
            return Revoked()
        left = f"the secret {shown(lent[0])} itself, which stands until it is rotated; only the broker has it"
        return Revoked(left=(left,), live_until=INTEGER_MAX)

    async def live(self) -> tuple[LeaseName, ...]:
        """List the leases of this process only, since the target knows none."""
        return tuple(self._lent)

    async def granted(self, name: LeaseName) -> tuple[str, ...]:
        raise LEASE_UNTOLD("the rights of a static secret are not known: they are the same for every lease")

    async def close(self) -> None:
        """Do nothing: no connection is open."""

    def _check_out(self, wanted: str, by: str) -> CheckedOut:
        return self._store.check_out(wanted, by=by)

    @staticmethod
    def _wanted(scope: Scope) -> str:
        value = scope.thaw()
        assert isinstance(value, dict)  # noqa: S101 - `faults` said so
        return str(value["secret"])

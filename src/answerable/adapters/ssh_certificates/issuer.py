"""Issue an OpenSSH certificate for each lease, and revoke it where hosts support that.

Issuing contacts no host. A host refuses a certificate after its expiry; before that only if the host stores a
revocation list that the broker may extend (`Revoking`). A lease's key is only in this process's memory, so nobody can
use a certificate that an earlier process issued, and that process's sessions ended with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from answerable.adapters.ssh_certificates.authority import Ordered
from answerable.adapters.ssh_certificates.forced_command import NO_LIST, forced_command
from answerable.adapters.ssh_certificates.scope import grant_faults, grant_of, principal_of
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Credential, IssuerTraits, Revoked, Secret
from answerable.core.lease.name import account_of, octets_of
from answerable.errors import shown
from answerable.errors.codes.leases import (
    LEASE_GONE,
    LEASE_RENEWAL,
    LEASE_TAKEN,
    LEASE_TARGET,
    LEASE_TTL,
    LEASE_UNTOLD,
)

if TYPE_CHECKING:
    from answerable.adapters.ssh_certificates.authority import UserAuthority
    from answerable.adapters.ssh_certificates.clients import OpenClients
    from answerable.adapters.ssh_certificates.hosts import Host
    from answerable.adapters.ssh_certificates.limits import Limits
    from answerable.adapters.ssh_certificates.revoking import Revoking
    from answerable.core.lease.credential import LeaseOrder
    from answerable.core.lease.name import LeaseName
    from answerable.core.lease.scope import Scope
    from answerable.ports.clock import Clock


@dataclass(slots=True, kw_only=True)
class _Minted:
    """An issued certificate. host: where it is valid. is_revoked: whether the host's list contains it."""

    host: str
    expires_at: UnixMillis
    is_revoked: bool = False


class SSHIssuer:
    """Implements ports.credential_issuer.CredentialIssuer. revoking: None if hosts store no revocation list."""

    def __init__(
        self,
        *,
        clock: Clock,
        authority: UserAuthority,
        hosts: tuple[Host, ...],
        source_addresses: tuple[str, ...],
        clients: OpenClients,
        limits: Limits,
        revoking: Revoking | None = None,
    ) -> None:
        self._clock = clock
        self._authority = authority
        self._hosts = frozenset(host.name for host in hosts)
        self._source_addresses = source_addresses
        self._clients = clients
        self._limits = limits
        self._revoking = revoking
        self._minted: dict[LeaseName, _Minted] = {}
        self._ends: list[tuple[UnixMillis, LeaseName]] = []
        is_revocable = revoking is not None
        self._traits = IssuerTraits(
            boundary="target",
            ends_by="target",
            revocable=is_revocable,
            cuts_sessions=is_revocable,
            ttl_seconds_min=1,
        )

    @property
    def traits(self) -> IssuerTraits:
        return self._traits

    def faults(self, scope: Scope) -> tuple[str, ...]:
        return grant_faults(scope, self._hosts)

    async def issue(self, order: LeaseOrder) -> Credential:
        """Issue a certificate, without contacting a host. Raises Refused also with `lease.ttl`, if the lease exceeds
        the longest certificate."""
        grant = grant_of(order.scope, self._hosts)
        now = self._clock.now()
        self._forget(now)
        if order.expires_at > now + self._limits.ttl_seconds_max * 1000:
            raise LEASE_TTL(
                f"a certificate lives at most {self._limits.ttl_seconds_max} seconds (`ttl_seconds_max`)"
            )
        if order.name in self._minted:
            raise LEASE_TAKEN(f"lease {shown(order.name)} already has its certificate")
        account = account_of(order.name)
        ends_at = order.expires_at // 1000
        self._minted[order.name] = _Minted(host=grant.host, expires_at=order.expires_at)
        heappush(self._ends, (order.expires_at, order.name))
        key = ed25519.Ed25519PrivateKey.generate()
        certificate = self._authority.certify(
            key.public_key(),
            Ordered(
                key_id=account,
                serial=int.from_bytes(octets_of(order.name)[-8:], "big"),
                principal=principal_of(grant.login, grant.host),
                starts_at=min(now // 1000 - self._limits.clock_skew_seconds, ends_at),
                ends_at=ends_at,
                forced_command=forced_command(
                    grant.command,
                    account=account,
                    ends_at=ends_at,
                    revoked_list=self._revoking.names_path if self._revoking else NO_LIST,
                ),
                source_addresses=self._source_addresses,
            ),
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
        return Credential(
            lease=order.name,
            account=account,
            expires_at=UnixMillis(ends_at * 1000),
            secret=Secret(private_key=private, certificate=certificate),
        )

    async def renew(self, name: LeaseName, expires_at: UnixMillis) -> None:
        """Refuse the renewal: a certificate's expiry is signed."""
        minted = self._minted.get(name)
        if minted is None or minted.is_revoked or minted.expires_at <= self._clock.now():
            raise LEASE_GONE(f"lease {shown(name)} no longer exists")
        raise LEASE_RENEWAL("a certificate cannot be renewed: request another lease")

    async def revoke(self, name: LeaseName) -> Revoked:
        """Revoke a lease: end the broker's own clients, then add it to the host's list, then end its sessions on the
        host."""
        cut = self._clients.cut(name)
        minted = self._minted.get(name)
        now = self._clock.now()
        if minted is not None and (minted.is_revoked or minted.expires_at <= now):
            return Revoked(sessions_cut=cut)
        if self._revoking is None:
            if minted is None:
                # Nobody has the key: another process's key was only in that process's memory.
                return Revoked(sessions_cut=cut)
            left = (
                "the certificate, which hosts take until it expires: they keep no list of revoked ones for us"
            )
            return Revoked(sessions_cut=cut, left=(left,), live_until=minted.expires_at)
        hosts = self._hosts if minted is None else frozenset({minted.host})
        ended = await self._revoking.revoke(name, hosts)
        if ended.left:
            raise LEASE_TARGET(
                (
                    f"{ended.left} sessions of the lease are still open, although the host was asked "
                    "to end them"
                ),
                effect="unknown",
            )
        if minted is not None:
            minted.is_revoked = True
        return Revoked(sessions_cut=max(cut, ended.cut))

    async def live(self) -> tuple[LeaseName, ...]:
        """List the leases of this process only: hosts do not know a certificate before it is used."""
        now = self._clock.now()
        return tuple(
            name for name, minted in self._minted.items() if not minted.is_revoked and minted.expires_at > now
        )

    async def granted(self, name: LeaseName) -> tuple[str, ...]:
        """Refuse: a host cannot list a certificate's rights."""
        raise LEASE_UNTOLD("a host cannot report what a certificate may do before it is used")

    async def close(self) -> None:
        """Do nothing: no connection is open."""

    def _forget(self, now: UnixMillis) -> None:
        """Forget certificates that expired so long ago that no host accepts them, even with a slow clock."""
        until = now - self._limits.ttl_seconds_max * 1000
        while self._ends and self._ends[0][0] <= until:
            del self._minted[heappop(self._ends)[1]]

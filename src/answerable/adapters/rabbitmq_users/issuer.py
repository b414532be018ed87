"""Issue a RabbitMQ user for each lease, with a random password of which the server gets only a salted hash."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import anyio

from answerable.adapters.rabbitmq_users.grants import checked_grants
from answerable.adapters.rabbitmq_users.management import away
from answerable.core.lease.credential import Credential, IssuerTraits, Revoked, Secret
from answerable.core.lease.name import account_of, lease_of
from answerable.errors import Refused, shown
from answerable.errors.codes.leases import LEASE_GONE, LEASE_SCOPE, LEASE_TAKEN

if TYPE_CHECKING:
    from answerable.adapters.rabbitmq_users.grants import Grants
    from answerable.adapters.rabbitmq_users.management import Management
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.lease.credential import LeaseOrder
    from answerable.core.lease.name import LeaseName
    from answerable.core.lease.scope import Scope
    from answerable.ports.entropy import Entropy

PASSWORD_BYTES: Final = 32
SALT_BYTES: Final = 4
"""RabbitMQ's salt length. The salt only matters for passwords chosen by people."""
CONNECTIONS_MAX: Final = 4
CHANNELS_MAX: Final = 8
CUT_TRIES_MAX: Final = 100
CUT_PAUSE_SECONDS: Final = 0.05
_TRAITS: Final = IssuerTraits(boundary="target", ends_by="broker")


class RabbitIssuer:
    """Implements `ports.credential_issuer.CredentialIssuer`. vhost: the virtual host for agents."""

    def __init__(self, management: Management, *, vhost: str, entropy: Entropy) -> None:
        self._management = management
        self._vhost = vhost
        self._entropy = entropy
        self._issuing: set[LeaseName] = set()

    @property
    def traits(self) -> IssuerTraits:
        """RabbitMQ enforces a user's permissions, and has no expiry for users."""
        return _TRAITS

    def faults(self, scope: Scope) -> tuple[str, ...]:
        """Return the faults of `grants.checked_grants`."""
        return checked_grants(scope)[1]

    async def issue(self, order: LeaseOrder) -> Credential:
        """Create a user and its permissions.

        The permissions on the virtual host come last, since without them the user cannot even connect: an interrupted
        or delayed call leaves nothing usable, and a deleted user gets no permissions.
        """
        grants, faults = checked_grants(order.scope)
        if grants is None:
            raise LEASE_SCOPE("; ".join(faults), reasons=faults)
        account = account_of(order.name)
        if order.name in self._issuing:
            raise _taken(account)
        self._issuing.add(order.name)
        try:
            if await self._management.get("users", account, issues=True) is not None:
                raise _taken(account)
            await self._check_topics(grants)
            password = self._entropy.bytes(PASSWORD_BYTES).hex()
            await self._make(account, password, grants)
        finally:
            self._issuing.discard(order.name)
        return Credential(
            lease=order.name, account=account, expires_at=order.expires_at, secret=Secret(password=password)
        )

    async def _check_topics(self, grants: Grants) -> None:
        """Check that exchanges with limited routing keys are topic exchanges: no other type checks routing keys."""
        for exchange in grants.publish:
            if exchange.keys is None:
                continue
            found = await self._management.get("exchanges", self._vhost, exchange.name, issues=True)
            if not isinstance(found, dict) or found.get("type") != "topic":
                fault = f"{shown(exchange.name, 40)} is no topic exchange, and only these keep a user to `routing_keys`"
                raise LEASE_SCOPE(fault, reasons=(fault,))

    async def _make(self, account: str, password: str, grants: Grants) -> None:
        salt = self._entropy.bytes(SALT_BYTES)
        hashed = b64encode(salt + sha256(salt + password.encode()).digest()).decode()
        await self._management.put(
            "users",
            account,
            content={
                "password_hash": hashed,
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": "",
            },
            issues=True,
        )
        limits = {"max-connections": CONNECTIONS_MAX, "max-channels": CHANNELS_MAX}
        for limit, value in limits.items():
            await self._management.put("user-limits", account, limit, content={"value": value}, issues=True)
        for topic in grants.topic_permissions():
            await self._management.put("topic-permissions", self._vhost, account, content=topic, issues=True)
        await self._management.put(
            "permissions", self._vhost, account, content=grants.permissions(), issues=True
        )

    async def renew(self, name: LeaseName, expires_at: UnixMillis) -> None:
        """Check that the user exists. The server stores no expiry: the broker ends the lease."""
        if await self._management.get("users", account_of(name)) is None:
            raise LEASE_GONE("the lease no longer exists at the server")

    async def revoke(self, name: LeaseName) -> Revoked:
        """Delete the permissions, the connections and the user, then wait until no connection is left: the server
        closes connections asynchronously, and an open channel caches its permissions."""
        account = account_of(name)
        was_there = await self._management.delete("permissions", self._vhost, account)
        open_before = await self._connections(account)
        if open_before:
            await self._management.delete("connections", "username", account)
        was_there = await self._management.delete("users", account) or was_there
        for _ in range(CUT_TRIES_MAX if was_there or open_before else 0):
            if not await self._connections(account):
                break
            await anyio.sleep(CUT_PAUSE_SECONDS)
        else:
            if was_there or open_before:
                raise away("a connection of a deleted user is still open", "unknown")
        return Revoked(sessions_cut=open_before)

    async def live(self) -> tuple[LeaseName, ...]:
        """List the users with the lease prefix."""
        users = await self._management.get("users", query="?columns=name")
        listed = users if isinstance(users, list) else []
        names = (lease_of(str(user.get("name", ""))) for user in listed if isinstance(user, dict))
        return tuple(sorted(name for name in names if name is not None))

    async def granted(self, name: LeaseName) -> tuple[str, ...]:
        """List the permissions on virtual hosts and on topics."""
        account = account_of(name)
        rights = []
        for one in await self._management.get("users", account, "permissions") or []:
            rights += [f"{one['vhost']} {right} {one[right]}" for right in ("configure", "read", "write")]
        for one in await self._management.get("users", account, "topic-permissions") or []:
            where = f"{one['vhost']} {one['exchange']}"
            rights += [f"{where} routing keys {right} {one[right]}" for right in ("read", "write")]
        return tuple(sorted(rights))

    async def close(self) -> None:
        """Close the pooled connections."""
        await self._management.close()

    async def _connections(self, account: str) -> int:
        found = await self._management.get("connections", "username", account, query="?columns=name")
        return len(found) if isinstance(found, list) else 0


def _taken(account: str) -> Refused:
    return LEASE_TAKEN(f"the server has a user {shown(account)} already")

"""Issue a PostgreSQL role for each lease in one transaction, and revoke it in steps that each reduce its power.

Law: a role with a right that the scope does not grant is never committed; anything left behind has the lease's name.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import anyio
import asyncpg

from answerable.adapters.postgres_roles import statements
from answerable.adapters.postgres_roles.catalog import (
    FACTS,
    MISSING_RIGHTS,
    ServerFacts,
    asked_relations,
    facts_of,
    faults_at,
)
from answerable.adapters.postgres_roles.connections import LOST, unavailable, words_of
from answerable.adapters.postgres_roles.ending import RoleEnding
from answerable.adapters.postgres_roles.granting import granted_rights
from answerable.adapters.postgres_roles.quoting import quoted_name, quoted_text
from answerable.adapters.postgres_roles.retrying import Retrying, unissued
from answerable.adapters.postgres_roles.scope import PostgresScope, scope_of
from answerable.adapters.postgres_roles.scram import SALT_BYTES, scram_verifier
from answerable.core.lease.credential import IssuerTraits, Revoked
from answerable.core.lease.name import account_of, lease_of
from answerable.errors import Unavailable
from answerable.errors.codes.leases import LEASE_GONE, LEASE_TARGET
from answerable.targets.sql.scope import ungrantable
from answerable.targets.sql.terms import credential_of

if TYPE_CHECKING:
    from answerable.adapters.postgres_roles.connections import AdminConnections
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.lease.credential import Credential, LeaseOrder
    from answerable.core.lease.name import LeaseName
    from answerable.core.lease.scope import Scope
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy
    from answerable.targets.sql.scope import ScopeLimits

TRAITS: Final = IssuerTraits(boundary="target", ends_by="target")
PASSWORD_BYTES: Final = 32
MILLIS: Final = 1000


class PostgresIssuer:
    """Issues leases as roles. home: the database in which roles are looked up, and in which a role without any objects
    is ended. sessions_max: concurrent sessions of one lease."""

    def __init__(
        self,
        connections: AdminConnections,
        *,
        clock: Clock,
        entropy: Entropy,
        limits: ScopeLimits,
        home: str,
        sessions_max: int,
        may_public_create: bool = False,
    ) -> None:
        self._connections = connections
        self._clock = clock
        self._entropy = entropy
        self._limits = limits
        self._home = home
        self._sessions_max = sessions_max
        self._may_public_create = may_public_create
        # The server stores a table's rights in one catalog row, so concurrent writers would fail each other.
        self._writing: dict[str, anyio.Lock] = defaultdict(anyio.Lock)
        self._retrying = Retrying(entropy)
        self._ending = RoleEnding(connections, home=home, writing=self._writing, retrying=self._retrying)

    @property
    def traits(self) -> IssuerTraits:
        """The server enforces grants and refuses logins after the expiry; the broker ends open sessions."""
        return TRAITS

    def faults(self, scope: Scope) -> tuple[str, ...]:
        found = scope_of(scope.thaw(), self._limits)
        return () if isinstance(found, PostgresScope) else found

    async def issue(self, order: LeaseOrder) -> Credential:
        scope = scope_of(order.scope.thaw(), self._limits)
        if not isinstance(scope, PostgresScope):
            raise ungrantable(scope)
        password = self._entropy.bytes(PASSWORD_BYTES).hex()
        verifier = scram_verifier(password, self._entropy.bytes(SALT_BYTES))
        role = account_of(order.name)
        await self._retrying.until_done(
            lambda: self._issue_once(role, scope, verifier, order.expires_at), unissued
        )
        return credential_of(order, password, scope)

    async def _issue_once(
        self, role: str, scope: PostgresScope, verifier: str, expires_at: UnixMillis
    ) -> None:
        """Issue in one transaction. Interrupted before its COMMIT is sent, it leaves nothing; after that, possibly a
        role with the lease's name."""
        async with self._connections.of(scope.database) as connection:
            try:
                # 1. Check what exists, and whether it can be granted.
                facts = facts_of(await connection.fetchval(FACTS, *asked_relations(scope)))
                faults = faults_at(scope, facts, may_public_create=self._may_public_create)
                if faults:
                    raise ungrantable(faults)
                async with self._writing[scope.database]:
                    # 2. Create the role with all of its rights.
                    await connection.execute(self._script(role, scope, facts, verifier, expires_at))
                    # 3. A grant without the right to grant is only a warning and grants nothing, so check the result.
                    missing = await connection.fetch(MISSING_RIGHTS, role, *statements.wanted_rights(scope))
                    if not missing:
                        # 4. From here on the lease may be live.
                        with unavailable(effect="unknown"):
                            await connection.execute("COMMIT")
                        return
                    await connection.execute("ROLLBACK")
            except LOST as lost:
                raise _unreached(lost) from None
            raise ungrantable([_unheld(row["relation"], row["verb"], row["col"]) for row in missing])

    def _script(
        self, role: str, scope: PostgresScope, facts: ServerFacts, verifier: str, expires_at: UnixMillis
    ) -> str:
        left = expires_at - self._clock.now()
        return statements.issue_script(
            role,
            scope,
            facts,
            verifier=verifier,
            # Relative to the server's clock, which decides the expiry.
            valid_until=_instant(facts.now + left),
            sessions_max=self._sessions_max,
        )

    async def renew(self, name: LeaseName, expires_at: UnixMillis) -> None:
        role = account_of(name)
        left = expires_at - self._clock.now()
        async with self._connections.of(self._home) as connection:
            with unavailable(effect="unknown"):
                row = await connection.fetchrow(
                    "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now,"
                    " (extract(epoch FROM rolvaliduntil) * 1000)::bigint AS until"
                    " FROM pg_roles WHERE rolname = $1 AND rolcanlogin",
                    role,
                )
                if row is not None and row["now"] + left > row["until"]:
                    until = quoted_text(_instant(row["now"] + left))
                    try:
                        await connection.execute(f"ALTER ROLE {quoted_name(role)} VALID UNTIL {until}")
                    except asyncpg.UndefinedObjectError:
                        row = None
        if row is None:
            raise LEASE_GONE("the lease no longer exists at the server, so it cannot be renewed")

    async def revoke(self, name: LeaseName) -> Revoked:
        return await self._ending.end(account_of(name))

    async def live(self) -> tuple[LeaseName, ...]:
        """List every lease role on the server, whatever rights it still has."""
        async with self._connections.of(self._home) as connection:
            with unavailable(effect="none"):
                rows = await connection.fetch(
                    r"SELECT rolname FROM pg_roles WHERE rolname LIKE 'ans\_%' ORDER BY rolname"
                )
        names = (lease_of(row["rolname"]) for row in rows)
        return tuple(name for name in names if name is not None)

    async def granted(self, name: LeaseName) -> tuple[str, ...]:
        """List the role's rights, and those of everybody beside them, prefixed with PUBLIC."""
        return await granted_rights(self._connections, account_of(name), home=self._home)

    async def close(self) -> None:
        """Close the connections of the broker's own account."""
        await self._connections.close()


def _instant(millis: int) -> str:
    whole = datetime.fromtimestamp(millis // MILLIS, tz=UTC)
    return f"{whole:%Y-%m-%d %H:%M:%S}.{millis % MILLIS:03d}+00"


def _unheld(relation: str, verb: str, column: str | None) -> str:
    where = f"{verb} ({column})" if column else verb
    return (
        f"the broker's own account may not grant {where} on {relation}: run GRANT {where} ON {relation} TO (that "
        "account) WITH GRANT OPTION"
    )


def _unreached(lost: Exception) -> Unavailable:
    return LEASE_TARGET(f"cannot reach the server: {words_of(lost)}")

"""Issue a MariaDB account per lease: created locked, granted its rights, unlocked last; revoked step by step, the most
effective step first.

MariaDB commits each of these statements separately. An interrupted issue therefore leaves an account of the lease's
name that nobody can log in to. A revocation waits for a server lock, which is held by the issuing session, until that
issue has ended.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import anyio

from answerable.adapters.mariadb_accounts.admin import ungranted, unreached
from answerable.adapters.mariadb_accounts.connection import REFUSED, number_of, run
from answerable.adapters.mariadb_accounts.granting import faults_at, granted_rights
from answerable.adapters.mariadb_accounts.quoting import native_hash, quoted_name
from answerable.adapters.mariadb_accounts.scope import MariadbScope, scope_of
from answerable.core.lease.credential import IssuerTraits, Revoked
from answerable.core.lease.name import account_of, lease_of
from answerable.errors import Refused
from answerable.errors.codes.leases import LEASE_GONE, LEASE_TAKEN, LEASE_TARGET
from answerable.targets.sql.scope import ungrantable
from answerable.targets.sql.terms import credential_of

if TYPE_CHECKING:
    import aiomysql

    from answerable.adapters.mariadb_accounts.admin import AdminConnections
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.lease.credential import Credential, LeaseOrder
    from answerable.core.lease.name import LeaseName
    from answerable.core.lease.scope import Scope
    from answerable.ports.entropy import Entropy
    from answerable.targets.sql.scope import ScopeLimits

TRAITS: Final = IssuerTraits(boundary="target", ends_by="broker")
PASSWORD_BYTES: Final = 32
LOCK_SECONDS_MAX: Final = 5
CUT_SECONDS_MAX: Final = 4.0
POLL_SECONDS_FIRST: Final = 0.002
POLL_SECONDS_MAX: Final = 0.1
_TAKEN: Final = 1396
"""CREATE USER failed: in practice because the account exists."""
_HOST: Final = re.compile(r"[A-Za-z0-9._:%-]{1,255}")


class MariadbIssuer:
    """Issues and revokes accounts for leases (a credential issuer). host: from which lease accounts may log in; empty
    for the host as the server sees the broker."""

    def __init__(
        self,
        connections: AdminConnections,
        *,
        entropy: Entropy,
        limits: ScopeLimits,
        sessions_max: int,
        host: str = "",
    ) -> None:
        self._connections = connections
        self._entropy = entropy
        self._limits = limits
        self._sessions_max = sessions_max
        self._host = host

    @property
    def traits(self) -> IssuerTraits:
        """The server enforces grants; it has no expiry for accounts."""
        return TRAITS

    def faults(self, scope: Scope) -> tuple[str, ...]:
        found = scope_of(scope.thaw(), self._limits)
        return () if isinstance(found, MariadbScope) else found

    async def issue(self, order: LeaseOrder) -> Credential:
        scope = scope_of(order.scope.thaw(), self._limits)
        if not isinstance(scope, MariadbScope):
            raise ungrantable(scope)
        password = self._entropy.bytes(PASSWORD_BYTES).hex()
        account = account_of(order.name)
        with unreached(effect="unknown"):
            async with self._connections.one() as connection:
                # 1. Check that the tables exist and can be granted.
                faults = await faults_at(connection, scope)
                if faults:
                    raise ungrantable(faults)
                # 2. From here on, a revocation of this lease waits.
                seen = await _lock(connection, account)
                await self._make(connection, f"'{account}'@'{self._host_for(seen)}'", scope, password)
                await run(connection, "DO RELEASE_ALL_LOCKS()")
        return credential_of(order, password, scope)

    async def _make(
        self, connection: aiomysql.Connection, who: str, scope: MariadbScope, password: str
    ) -> None:
        try:
            # 3. Create an account that nobody can log in to yet.
            await run(
                connection,
                f"CREATE USER {who} IDENTIFIED VIA mysql_native_password USING '{native_hash(password)}'"
                f" WITH MAX_USER_CONNECTIONS {self._sessions_max:d} MAX_STATEMENT_TIME {scope.seconds:d} ACCOUNT LOCK",
            )
        except REFUSED as failure:
            if number_of(failure) != _TAKEN:
                raise
            raise LEASE_TAKEN("the server has an account with the name of this lease already") from None
        try:
            # 4. Grant exactly the rights of the scope.
            with ungranted():
                for grant in scope.tables:
                    table = f"{quoted_name(scope.database)}.{quoted_name(grant.table)}"
                    await run(connection, f"GRANT {grant.rights} ON TABLE {table} TO {who}")
            # 5. From here on the account may be in use.
            await run(connection, f"ALTER USER {who} ACCOUNT UNLOCK")
        except Refused:
            await run(connection, f"DROP USER IF EXISTS {who}")
            raise

    def _host_for(self, seen: str) -> str:
        host = self._host or seen
        if not _HOST.fullmatch(host):
            raise LEASE_TARGET(
                "the server sees the broker under a host name that no account can be bound to: "
                "set `account_host`"
            )
        return host

    async def renew(self, name: LeaseName, expires_at: UnixMillis) -> None:
        """Check that the account exists: the server has no expiry to extend. Raises Refused (`lease.gone`)."""
        with unreached(effect="none"):
            async with self._connections.one() as connection:
                hosts = await _hosts(connection, account_of(name))
        if not hosts:
            raise LEASE_GONE("the lease no longer exists at the server, so it cannot be renewed")

    async def revoke(self, name: LeaseName) -> Revoked:
        account = account_of(name)
        with unreached(effect="unknown"):
            async with self._connections.one() as connection:
                # 1. Wait until an issue of this lease has ended. A session of the lease may hold the same lock to stay
                # alive, so its sessions are ended first; ending an interrupted issue loses nothing.
                cut = 0
                if not await _is_locked_at_once(connection, account):
                    await _disarmed_meanwhile(connection, account)
                    cut = await _sessions_ended(connection, account)
                    await _lock(connection, account)
                # 2. Remove the rights, in open sessions too. 3. Lock the account against logins.
                accounts = await _disarmed(connection, account)
                # 4. End open sessions. 5. Drop the account. 6. End sessions that logged in meanwhile.
                cut += await _sessions_ended(connection, account)
                for who in accounts:
                    await run(connection, f"DROP USER IF EXISTS {who}")
                cut += await _sessions_ended(connection, account) if accounts else 0
                await run(connection, "DO RELEASE_ALL_LOCKS()")
        return Revoked(sessions_cut=cut)

    async def live(self) -> tuple[LeaseName, ...]:
        with unreached(effect="none"):
            async with self._connections.one() as connection:
                rows = await run(
                    connection,
                    "SELECT DISTINCT User FROM mysql.user WHERE LEFT(User, 4) = 'ans_' ORDER BY User",
                )
        names = (lease_of(str(account)) for (account,) in rows)
        return tuple(name for name in names if name is not None)

    async def granted(self, name: LeaseName) -> tuple[str, ...]:
        """Return the account's rights; rights that every account has are added with the prefix PUBLIC."""
        with unreached(effect="none"):
            async with self._connections.one() as connection:
                return await granted_rights(connection, account_of(name))

    async def close(self) -> None:
        """Close the connections of the broker's own account."""
        await self._connections.close()


async def _lock(connection: aiomysql.Connection, account: str) -> str:
    """Take the lease's server lock. Return the host from which the server sees the broker."""
    asked = f"SELECT GET_LOCK('{account}', {LOCK_SECONDS_MAX}), SUBSTRING_INDEX(USER(), '@', -1)"
    ((got, seen),) = await run(connection, asked)
    if got != 1:
        raise LEASE_TARGET(f"an earlier call for this lease did not end within {LOCK_SECONDS_MAX} s")
    return str(seen)


async def _is_locked_at_once(connection: aiomysql.Connection, account: str) -> bool:
    ((got,),) = await run(connection, f"SELECT GET_LOCK('{account}', 0)")
    return bool(got)


async def _disarmed(connection: aiomysql.Connection, account: str) -> list[str]:
    """Remove all rights of the accounts of this name, lock them, and return them."""
    accounts = [f"'{account}'@'{host}'" for host in await _hosts(connection, account)]
    for who in accounts:
        await run(connection, f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {who}")
        await run(connection, f"ALTER USER {who} ACCOUNT LOCK")
    return accounts


async def _disarmed_meanwhile(connection: aiomysql.Connection, account: str) -> None:
    """Disarm while another session creates or drops the account: errors are ignored, since the revocation repeats the
    step under the lock."""
    try:
        await _disarmed(connection, account)
    except REFUSED as failure:
        if not number_of(failure):
            raise


async def _hosts(connection: aiomysql.Connection, account: str) -> list[str]:
    rows = await run(connection, "SELECT Host FROM mysql.user WHERE User = ?", account)
    return [str(host) for (host,) in rows if _HOST.fullmatch(str(host))]


async def _sessions_ended(connection: aiomysql.Connection, account: str) -> int:
    """End all sessions of an account and return their number. Returns when none is left."""
    ended: set[int] = set()
    pause = POLL_SECONDS_FIRST
    listed = "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = ?"
    with anyio.move_on_after(CUT_SECONDS_MAX):
        while found := {int(row[0]) for row in await run(connection, listed, account)}:
            ended |= found
            await run(connection, f"KILL HARD CONNECTION USER '{account}'")
            await anyio.sleep(pause)
            pause = min(POLL_SECONDS_MAX, pause * 2)
        return len(ended)
    raise LEASE_TARGET(
        f"sessions are still open {CUT_SECONDS_MAX:.0f} s after the request to end them", effect="unknown"
    )

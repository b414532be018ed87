"""End a lease's role in order: its rights, new sessions, open sessions, what it owns, and the role itself."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import asyncpg

from answerable.adapters.postgres_roles.connections import LOST, unavailable, words_of
from answerable.adapters.postgres_roles.quoting import quoted_name
from answerable.adapters.postgres_roles.retrying import unended
from answerable.adapters.postgres_roles.statements import membership_statement
from answerable.core.lease.credential import Revoked
from answerable.errors import Unavailable
from answerable.errors.codes.leases import LEASE_TARGET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from answerable.adapters.postgres_roles.connections import AdminConnections
    from answerable.adapters.postgres_roles.retrying import Retrying

CUT_SECONDS_MAX: Final = 4.0
ROUNDS_MAX: Final = 5
"""Rounds to end sessions whose login was in progress; none can start after the first round."""
POLL_SECONDS_FIRST: Final = 0.002
POLL_SECONDS_MAX: Final = 0.1

ROLE: Final = """
SELECT r.oid::bigint AS id, current_setting('server_version_num')::int AS version,
  pg_has_role(current_user, r.oid, 'USAGE') AS is_member,
  ARRAY(SELECT DISTINCT d.datname::text FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid
        WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = r.oid ORDER BY 1) AS databases
FROM pg_roles r WHERE r.rolname = $1
"""

REVOCATIONS: Final = """
SELECT coalesce(string_agg(DISTINCT format('REVOKE ALL ON %s FROM %I; ', what, $1::text), ''), '') FROM (
  SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || c.oid::regclass AS what
  FROM pg_shdepend s JOIN pg_class c ON c.oid = s.objid WHERE s.classid = 'pg_class'::regclass
    AND s.deptype = 'a' AND s.refclassid = 'pg_authid'::regclass AND s.refobjid = $2::bigint::oid
    AND s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())) AS held
"""

SESSIONS_ENDED: Final = """
SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity
WHERE usesysid = $1::bigint::oid AND pid <> pg_backend_pid()
"""
SESSIONS: Final = "SELECT pid FROM pg_stat_activity WHERE usesysid = $1::bigint::oid"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Role:
    """A role at the server. account: its name. id: its oid. databases: those that contain objects or rights of the
    role."""

    account: str
    id: int
    version: int
    is_member: bool
    databases: tuple[str, ...]

    @property
    def name(self) -> str:
        return quoted_name(self.account)


class RoleEnding:
    """Ends roles. Each step may be interrupted: a repeated call does the remaining steps."""

    def __init__(
        self,
        connections: AdminConnections,
        *,
        home: str,
        writing: Mapping[str, anyio.Lock],
        retrying: Retrying,
    ) -> None:
        self._connections = connections
        self._home = home
        self._writing = writing
        self._retrying = retrying

    async def end(self, account: str) -> Revoked:
        """End the role of an account. Raises Unavailable (`lease.target`), whose message states how far the ending
        got."""
        # 1. Find the role, and the databases in which it has anything.
        role = await self._found(account)
        if role is None:
            return Revoked()
        # 2. Remove its rights, which also stops open sessions at once, and forbid new logins.
        for database in role.databases or (self._home,):
            await self._retrying.until_done(partial(self._disarm, role, database), unended)
        # 3. End open sessions.
        cut = await self._sessions_ended(role)
        # 4. Drop what it owns and its grants; drop the role itself in the same transaction as the last of these.
        *others, last = role.databases or (self._home,)
        try:
            for database in others:
                await self._retrying.until_done(partial(self._drop_owned, role, database), unended)
            for _ in range(ROUNDS_MAX):
                if await self._retrying.until_done(partial(self._drop, role, last), unended):
                    return Revoked(sessions_cut=cut)
                # 5. A login in progress when logins were forbidden becomes visible only now.
                cut += await self._sessions_ended(role)
        except Unavailable as left:
            raise _powerless(left) from None
        raise LEASE_TARGET("new sessions of the lease keep appearing", effect="unknown")

    async def _found(self, account: str) -> _Role | None:
        async with self._connections.of(self._home) as connection:
            with unavailable(effect="none"):
                row = await connection.fetchrow(ROLE, account)
                if row is None and await _is_being_made(connection, account):
                    row = await connection.fetchrow(ROLE, account)
        if row is None:
            return None
        return _Role(
            account=account,
            id=row["id"],
            version=row["version"],
            is_member=row["is_member"],
            databases=tuple(row["databases"]),
        )

    async def _disarm(self, role: _Role, database: str) -> None:
        async with self._as_writer(database) as connection:
            revocations = await connection.fetchval(REVOCATIONS, role.account, role.id)
            # The commit need not be durable: a crash of the server ends every session, and the broker repeats the call.
            joining = "" if role.is_member else membership_statement(role.name, role.version) + "; "
            await connection.execute(
                f"BEGIN; SET LOCAL synchronous_commit = off; {revocations}"
                f"ALTER ROLE {role.name} NOLOGIN CONNECTION LIMIT 0; {joining}COMMIT"
            )

    async def _sessions_ended(self, role: _Role) -> int:
        ended: set[int] = set()
        pause = POLL_SECONDS_FIRST
        async with self._connections.of(self._home) as connection:
            with unavailable(effect="unknown"):
                with anyio.move_on_after(CUT_SECONDS_MAX):
                    while found := await connection.fetch(SESSIONS_ENDED, role.id):
                        ended |= {row["pid"] for row in found}
                        await anyio.sleep(pause)
                        pause = min(POLL_SECONDS_MAX, pause * 2)
                    return len(ended)
        raise LEASE_TARGET(
            f"sessions are still open {CUT_SECONDS_MAX:.0f} s after the request to end them", effect="unknown"
        )

    async def _drop_owned(self, role: _Role, database: str) -> None:
        # Never use REASSIGN OWNED: a function that the lease created would then run with the broker's rights.
        async with self._as_writer(database) as connection:
            await connection.execute(f"DROP OWNED BY {role.name}")

    async def _drop(self, role: _Role, database: str) -> bool:
        """Drop the role. Return False, and drop nothing, if a session is open: it would continue without a role."""
        is_alone = True
        async with self._as_writer(database) as connection:
            await connection.execute(f"BEGIN; DROP OWNED BY {role.name}; DROP ROLE {role.name}")
            is_alone = not await connection.fetch(SESSIONS, role.id)
            await connection.execute("COMMIT" if is_alone else "ROLLBACK")
        return is_alone

    @asynccontextmanager
    async def _as_writer(self, database: str) -> AsyncIterator[asyncpg.Connection]:
        """Yield a connection, one catalog writer at a time. A role that another process ended meanwhile is no
        failure."""
        try:
            async with self._connections.of(database) as connection, self._writing[database]:
                yield connection
        except asyncpg.UndefinedObjectError:
            return
        except LOST as lost:
            raise LEASE_TARGET(f"cannot reach the server: {words_of(lost)}", effect="unknown") from None


async def _is_being_made(connection: asyncpg.Connection, account: str) -> bool:
    """Whether a transaction in progress has created the role by now. Creating the same role waits for that transaction,
    since names are unique; the role created here is rolled back."""
    try:
        await connection.execute(f"BEGIN; CREATE ROLE {quoted_name(account)} NOLOGIN; ROLLBACK")
    except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
        await connection.execute("ROLLBACK")
        return True
    return False


def _powerless(left: Unavailable) -> Unavailable:
    return LEASE_TARGET(
        f"the lease no longer works, but its account is still at the server: {left.message}",
        effect="unknown",
    )

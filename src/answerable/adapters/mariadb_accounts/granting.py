"""Query a MariaDB server about the tables of a scope, the rights of an account, and rights that every account has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.adapters.mariadb_accounts.connection import run
from answerable.errors import shown

if TYPE_CHECKING:
    import aiomysql

    from answerable.adapters.mariadb_accounts.scope import MariadbScope

RIGHTS_MAX: Final = 1_000
# One table per query, by constant names: a join would make the server open every table of every database.
_TABLE: Final = (
    "SELECT TABLE_NAME, TABLE_TYPE, ENGINE FROM information_schema.TABLES"
    " WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?"
)
_ENGINES: Final = "SELECT ENGINE FROM information_schema.ENGINES WHERE TRANSACTIONS = 'YES'"


async def faults_at(connection: aiomysql.Connection, scope: MariadbScope) -> list[str]:
    """Return why the server cannot grant this scope, beyond its own refusals. Missing tables are faults, because the
    server would grant rights on them to an account that may create tables."""
    faults = []
    for grant in scope.tables:
        rows = await run(connection, _TABLE, scope.database, grant.table)
        held = [(kind, engine) for name, kind, engine in rows if name == grant.table]
        if not held:
            where = f"{shown(scope.database)} that the broker's account may see"
            faults.append(f"there is no table {shown(grant.table)} in {where}")
            continue
        ((kind, engine),) = held
        if kind not in ("BASE TABLE", "VIEW"):
            faults.append(f"{shown(grant.table)} is no table and no view")
        if kind == "BASE TABLE" and grant.verbs != ("select",) and not await _takes_back(connection, engine):
            faults.append(
                f"{shown(grant.table)} is kept by {shown(engine)}, which cannot take back a statement that changes "
                "too much: grant `select` alone, or run ALTER TABLE … ENGINE = InnoDB"
            )
    return faults


async def _takes_back(connection: aiomysql.Connection, engine: str) -> bool:
    return engine in {name for (name,) in await run(connection, _ENGINES)}


async def granted_rights(connection: aiomysql.Connection, account: str) -> tuple[str, ...]:
    """Return the rights of an account, one per line, sorted; empty if there is no such account."""
    if not await run(connection, "SELECT 1 FROM mysql.user WHERE User = ?", account):
        return ()
    lines = set()
    for database, table, rights in await run(
        connection, "SELECT Db, Table_name, Table_priv FROM mysql.tables_priv WHERE User = ?", account
    ):
        lines |= {f"{right.lower()} on {database}.{table}" for right in str(rights).split(",") if right}
    by_right: dict[tuple[str, str], list[str]] = {}
    for database, table, column, rights in await run(
        connection,
        "SELECT Db, Table_name, Column_name, Column_priv FROM mysql.columns_priv WHERE User = ?",
        account,
    ):
        for right in str(rights).split(","):
            by_right.setdefault((right.lower(), f"{database}.{table}"), []).append(str(column))
    lines |= {f"{right} on {table} ({', '.join(sorted(held))})" for (right, table), held in by_right.items()}
    for user, database in await run(
        connection, "SELECT User, Db FROM mysql.db WHERE User IN ('', 'PUBLIC') OR Host = ''"
    ):
        lines.add(f"PUBLIC: rights in database {database} by an account for {user or 'anybody'}")
    return tuple(sorted(lines)[:RIGHTS_MAX])

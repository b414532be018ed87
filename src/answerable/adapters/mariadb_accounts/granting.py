"""What a server says of the tables that a scope names, of what an account may do, and of what everybody may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.adapters.mariadb_accounts.connection import run
from answerable.errors import shown

if TYPE_CHECKING:
    import aiomysql

    from answerable.adapters.mariadb_accounts.scope import MariadbScope

RIGHTS_MAX: Final = 1_000
_TABLE: Final = """
SELECT t.TABLE_NAME, t.TABLE_TYPE, e.TRANSACTIONS, t.ENGINE, c.COLUMN_NAME FROM information_schema.TABLES t
LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE
LEFT JOIN information_schema.COLUMNS c ON c.TABLE_SCHEMA = t.TABLE_SCHEMA AND c.TABLE_NAME = t.TABLE_NAME
WHERE t.TABLE_SCHEMA = ? AND t.TABLE_NAME = ?
"""


async def faults_at(connection: aiomysql.Connection, scope: MariadbScope) -> list[str]:
    """Why this server cannot grant it, in words that say what is wrong."""
    faults = []
    for grant in scope.tables:
        rows = await run(connection, _TABLE, scope.database, grant.table)
        held = [row for row in rows if row[0] == grant.table]
        if not held:
            where = f"{shown(scope.database)} that the broker's account may see"
            faults.append(f"there is no table {shown(grant.table)} in {where}")
            continue
        _, kind, transactions, engine, _ = held[0]
        if kind not in ("BASE TABLE", "VIEW"):
            faults.append(f"{shown(grant.table)} is no table and no view")
        if kind == "BASE TABLE" and transactions != "YES" and grant.verbs != ("select",):
            faults.append(
                f"{shown(grant.table)} is kept by {shown(engine)}, which cannot take back a statement that changes too "
                "much: grant `select` alone, or run ALTER TABLE … ENGINE = InnoDB"
            )
        columns = {row[4] for row in held}
        faults += [
            f"{shown(grant.table)} has no column {shown(column)}"
            for column in grant.columns
            if column not in columns
        ]
    return faults


async def granted_rights(connection: aiomysql.Connection, account: str) -> tuple[str, ...]:
    """One right a line, sorted; empty where there is no such account."""
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

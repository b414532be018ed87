"""Read, inside a transaction before its commit, its ids and the locks it holds.

Every action runs the first query, which costs about as much as reading the ids alone; only writing actions run the
second, which reads more of the catalog.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncpg

    from answerable.core.canonical import JSONValue

LOCKS_MAX: Final = 400
"""Largest number of locks to read, indexes included. With more, the statement's usage is reported as unknown."""
READ: Final = "AccessShareLock"
_RELATIONS: Final = frozenset({"table", "view", "materialized view", "foreign table", "sequence"})
_HELD: Final = """
SELECT pg_catalog.current_setting('application_name') AS label,
  pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text AS xid,
  l.virtualtransaction AS vxid, l.mode, a.type, a.object_names AS names
FROM pg_catalog.pg_lock_status() l
  LEFT JOIN LATERAL pg_catalog.pg_identify_object_as_address('pg_catalog.pg_class'::pg_catalog.regclass, l.relation, 0)
    a ON l.relation >= 16384::pg_catalog.oid
WHERE l.pid = pg_catalog.pg_backend_pid() LIMIT 401
"""
"""Object ids below 16384 belong to the server itself."""
_MAY_DO_MORE: Final = """
SELECT EXISTS (SELECT FROM pg_catalog.pg_lock_status() l JOIN pg_catalog.pg_class c ON c.oid = l.relation
    WHERE l.pid = pg_catalog.pg_backend_pid() AND l.mode <> 'AccessShareLock' AND c.oid >= 16384
      AND (c.relhasrules OR EXISTS (
        SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)))
  OR EXISTS (SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang
    WHERE p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal') AND p.provolatile = 'v' AND NOT p.prosecdef
      AND p.prorettype NOT IN ('pg_catalog.trigger'::pg_catalog.regtype, 'pg_catalog.event_trigger'::pg_catalog.regtype)
      AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE'))
"""
"""Whether a statement can write by more than its own verb: by rules or triggers of the relations it locked, or by a
function that writes with the caller's rights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A transaction's ids and locks. label: the session's current `application_name`. vxid, xid: of the transaction,
    empty if it has none. told: input of `PostgresRights.used`; None if there are too many locks to report."""

    label: str
    vxid: str
    xid: str
    told: JSONValue


async def held(connection: asyncpg.Connection, *, verb: str, writes: bool) -> Held:
    """Read the locks, inside the transaction. verb: the first word of the statement. writes: whether it may have
    written. Raises the driver's exceptions."""
    rows = await connection.fetch(_HELD)
    first = rows[0]
    locked: list[JSONValue] = [
        {"schema": row["names"][0], "name": row["names"][1], "mode": row["mode"], "kind": row["type"]}
        for row in rows
        if row["type"] in _RELATIONS and len(row["names"]) == 2
    ]
    told: JSONValue = None
    if len(rows) <= LOCKS_MAX:
        wrote = writes and any(row["mode"] != READ for row in rows if row["type"] in _RELATIONS)
        more = wrote and bool(await connection.fetchval(_MAY_DO_MORE))
        told = {"verb": verb.lower(), "locked": locked, "more": more}
    return Held(label=first["label"], vxid=first["vxid"] or "", xid=first["xid"] or "", told=told)

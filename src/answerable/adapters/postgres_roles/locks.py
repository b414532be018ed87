"""What the server says of the transaction that is about to be committed: its place in the log, and what it locked.

Asked of every action, so it costs about what asking for the place alone does; what is asked beside it of those that
write needs more of the catalog.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncpg

    from answerable.core.canonical import JSONValue

LOCKS_MAX: Final = 400
"""Indexes among them. Past it a statement does not tell what it touched."""
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
"""Objects below 16384 are the server's own."""
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
"""Whether a statement can write by more than its own verb: by rules or triggers of what it locked, or by a function
that writes with the rights of whoever calls it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """label: as the session has it now. vxid, xid: of the transaction, empty where it has none. told: for `rights`;
    None where the server did not say all of it."""

    label: str
    vxid: str
    xid: str
    told: JSONValue


async def held(connection: asyncpg.Connection, *, verb: str, writes: bool) -> Held:
    """Ask, inside the transaction. verb: the first word of the statement. writes: whether it may have written. Raises
    what the driver raises."""
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

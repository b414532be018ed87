"""Read from the server what a role may do, and what PUBLIC may do in the same databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.adapters.postgres_roles.connections import unavailable

if TYPE_CHECKING:
    from answerable.adapters.postgres_roles.connections import AdminConnections

RIGHTS_MAX: Final = 1_000

DATABASES: Final = """
SELECT r.oid::bigint AS id, ARRAY(SELECT DISTINCT d.datname::text FROM pg_shdepend s
    JOIN pg_database d ON d.oid = s.dbid
    WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = r.oid) AS databases
FROM pg_roles r WHERE r.rolname = $1
"""

OF_ROLE: Final = """
WITH held AS (
  SELECT lower(a.privilege_type) || ' on ' || n.nspname || '.' || c.relname AS told
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a
  WHERE a.grantee = $1::bigint::oid
  UNION ALL
  SELECT lower(a.privilege_type) || ' on ' || n.nspname || '.' || c.relname || ' (' ||
    string_agg(t.attname, ', ' ORDER BY t.attnum) || ')'
  FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
    aclexplode(t.attacl) a
  WHERE a.grantee = $1::bigint::oid GROUP BY a.privilege_type, n.nspname, c.relname
  UNION ALL
  SELECT lower(a.privilege_type) || ' of schema ' || n.nspname FROM pg_namespace n, aclexplode(n.nspacl) a
  WHERE a.grantee = $1::bigint::oid
  UNION ALL
  SELECT lower(a.privilege_type) || ' to database ' || d.datname FROM pg_database d, aclexplode(d.datacl) a
  WHERE a.grantee = $1::bigint::oid AND d.datname = current_database()
  UNION ALL
  SELECT CASE WHEN p.polpermissive THEN 'rows let' ELSE 'rows limited' END || ' on ' || n.nspname || '.' ||
    c.relname || ' for ' || CASE p.polcmd WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update'
      WHEN 'd' THEN 'delete' ELSE 'all' END || ' where ' ||
    coalesce(pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid), 'true')
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE $1::bigint::oid = ANY(p.polroles)
  UNION ALL
  SELECT 'owns ' || pg_describe_object(s.classid, s.objid, s.objsubid) FROM pg_shdepend s
  WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = $1::bigint::oid AND s.deptype = 'o'
    AND s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
) SELECT told FROM held LIMIT 1000
"""

OF_EVERYBODY: Final = """
WITH held AS (
  SELECT 'create in schema ' || n.nspname AS told FROM pg_namespace n
  WHERE n.nspname !~ '^pg_' AND has_schema_privilege('public', n.oid, 'CREATE')
  UNION ALL
  SELECT lower(a.privilege_type) || ' on ' || n.nspname || '.' || c.relname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a
  WHERE a.grantee = 0 AND n.nspname !~ '^(pg_|information_schema$)'
  UNION ALL
  SELECT CASE a.privilege_type WHEN 'TEMPORARY' THEN 'temporary tables in' ELSE 'connect to' END ||
    ' database ' || d.datname
  FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
  WHERE a.grantee = 0 AND d.datallowconn
  UNION ALL
  SELECT 'execute ' || p.oid::regprocedure || ' with the rights of ' || pg_get_userbyid(p.proowner)
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  WHERE p.prosecdef AND n.nspname !~ '^(pg_|information_schema$)'
    AND has_function_privilege('public', p.oid, 'EXECUTE')
) SELECT told FROM held LIMIT 1000
"""


async def granted_rights(connections: AdminConnections, account: str, *, home: str) -> tuple[str, ...]:
    """Return one right a line, sorted; empty if there is no such role. Raises Unavailable (`lease.target`)."""
    async with connections.of(home) as connection:
        with unavailable(effect="none"):
            role = await connection.fetchrow(DATABASES, account)
    if role is None:
        return ()
    lines: set[str] = set()
    for database in role["databases"] or (home,):
        async with connections.of(database) as connection:
            with unavailable(effect="none"):
                for row in await connection.fetch(OF_ROLE, role["id"]):
                    lines.add(f"{database}: {row['told']}")
                for row in await connection.fetch(OF_EVERYBODY):
                    lines.add(f"{database}: PUBLIC: {row['told']}")
    return tuple(sorted(lines)[:RIGHTS_MAX])

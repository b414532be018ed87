"""Read facts about a server and the tables that a scope names, and list the faults that prevent the grant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from answerable.errors import shown

if TYPE_CHECKING:
    from answerable.adapters.postgres_roles.scope import PostgresScope, Relation, TableGrant

VERSION_MIN: Final = 130_000

FACTS: Final = """
SELECT json_build_object(
  'version', current_setting('server_version_num')::int,
  'now', (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
  'is_superuser', (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
  'anybody_connects', has_database_privilege('public', current_database(), 'CONNECT'),
  'made_by_anybody', (SELECT coalesce(json_agg(nspname ORDER BY nspname), '[]') FROM pg_namespace
     WHERE nspname !~ '^pg_' AND has_schema_privilege('public', oid, 'CREATE')),
  'used_by_anybody', (SELECT coalesce(json_agg(nspname), '[]') FROM pg_namespace
     WHERE nspname = ANY($1::text[]) AND has_schema_privilege('public', oid, 'USAGE')),
  'relations', (SELECT coalesce(json_agg(json_build_object(
       'schema', n.nspname, 'name', c.relname, 'kind', c.relkind, 'rows_kept', c.relrowsecurity,
       'is_ours', pg_has_role(current_user, c.relowner, 'USAGE'),
       'columns', (SELECT coalesce(json_agg(attname), '[]') FROM pg_attribute
          WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped))), '[]')
     FROM unnest($1::text[], $2::text[]) AS asked(schema, name)
     JOIN pg_namespace n ON n.nspname = asked.schema
     JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = asked.name))::text
"""

MISSING_RIGHTS: Final = """
SELECT relation, verb, col FROM unnest($2::text[], $3::text[], $4::text[]) AS wanted(relation, verb, col)
WHERE NOT CASE WHEN col IS NULL THEN has_table_privilege($1::text, relation, verb)
  ELSE has_column_privilege($1::text, relation, col, verb) END
"""


class RelationFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Facts about one relation. kind: `pg_class.relkind`. rows_kept: whether row-level security is on. is_ours: whether
    the broker's account has its owner's rights."""

    schema: str
    name: str
    kind: str
    rows_kept: bool
    is_ours: bool
    columns: tuple[str, ...]


class ServerFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Facts about a server. now: the server's clock, Unix milliseconds. made_by_anybody: schemas in which PUBLIC may
    create. used_by_anybody: schemas of the scope that PUBLIC may use."""

    version: int
    now: int
    is_superuser: bool
    anybody_connects: bool
    made_by_anybody: tuple[str, ...]
    used_by_anybody: frozenset[str]
    relations: tuple[RelationFacts, ...]


def facts_of(text: str) -> ServerFacts:
    """Decode the result of the query FACTS."""
    return msgspec.json.decode(text, type=ServerFacts)


def asked_relations(scope: PostgresScope) -> tuple[list[str], list[str]]:
    """Return the arguments of the query FACTS."""
    relations = dict.fromkeys([grant.table for grant in scope.tables] + list(scope.sequences))
    return [relation.schema for relation in relations], [relation.name for relation in relations]


def faults_at(scope: PostgresScope, facts: ServerFacts, *, may_public_create: bool) -> list[str]:
    """Return why this server cannot grant the scope, with the statements that would fix it there."""
    if facts.version < VERSION_MIN:
        return [
            f"the server says that it is version {facts.version // 10_000}: 13 is the first that is supported"
        ]
    faults = []
    if not may_public_create:
        faults += [
            f"PUBLIC may create in schema {shown(schema)} of {shown(scope.database)}, so that any lease could put "
            f"functions under the names that others call: run REVOKE CREATE ON SCHEMA {shown(schema)} FROM PUBLIC"
            for schema in facts.made_by_anybody
        ]
    found = {(one.schema, one.name): one for one in facts.relations}
    for grant in scope.tables:
        known = found.get((grant.table.schema, grant.table.name))
        faults += _table_faults(grant, known, scope.database)
    for sequence in scope.sequences:
        known = found.get((sequence.schema, sequence.name))
        if known is None or known.kind != "S":
            faults.append(f"there is no sequence {shown(sequence)} in {shown(scope.database)}")
    return faults


def _table_faults(grant: TableGrant, known: RelationFacts | None, database: str) -> list[str]:
    if known is None or known.kind not in "rpvmf":
        return [f"there is no table {shown(grant.table)} in {shown(database)}"]
    if known.kind in "mf":
        return [
            f"{shown(grant.table)} is a foreign table or a materialized view, which the rights of a role do not "
            "bound: grant a table, or a view"
        ]
    wanted = list(grant.columns) + ([grant.rows.column] if grant.rows else [])
    faults = [
        f"{shown(grant.table)} has no column {shown(column)}"
        for column in wanted
        if column not in known.columns
    ]
    if grant.rows is not None:
        faults += _row_faults(grant.table, known)
    return faults


def _row_faults(table: Relation, known: RelationFacts) -> list[str]:
    if known.kind == "v":
        return [
            f"{shown(table)} is a view, which has no row-level security of its own: limit the rows of its table, or "
            "leave `rows` out and let the view say them"
        ]
    faults = []
    if not known.rows_kept:
        faults.append(
            f"{shown(table)} has row-level security off, so that no rule about rows would hold: once its owner knows "
            "that others without a policy then see no rows, run ALTER TABLE "
            f"{table.quoted} ENABLE ROW LEVEL SECURITY"
        )
    if not known.is_ours:
        faults.append(
            f"rules about the rows of {shown(table)} are made by its owner, which the broker's account is no member "
            "of: run GRANT (the owner) TO (that account)"
        )
    return faults

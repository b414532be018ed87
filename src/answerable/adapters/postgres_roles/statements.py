"""Build the statements that create a role from a scope. Every inserted text is quoted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.adapters.postgres_roles.quoting import quoted_name, quoted_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.adapters.postgres_roles.catalog import ServerFacts
    from answerable.adapters.postgres_roles.scope import PostgresScope, TableGrant
    from answerable.targets.sql.scope import Verb

NEVER: Final = "NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
IDLE_SECONDS_MAX: Final = 60
"""How long a session of a lease may stay idle in a transaction."""


def issue_script(
    role: str,
    scope: PostgresScope,
    facts: ServerFacts,
    *,
    verifier: str,
    valid_until: str,
    sessions_max: int,
) -> str:
    """Return everything between BEGIN and COMMIT, to be sent at once."""
    name = quoted_name(role)
    statements = [
        "BEGIN",
        # Durability is not needed: a role that a crash removes grants nothing.
        "SET LOCAL synchronous_commit = off",
        f"CREATE ROLE {name} LOGIN {NEVER} CONNECTION LIMIT {sessions_max:d}"
        f" PASSWORD {quoted_text(verifier)} VALID UNTIL {quoted_text(valid_until)}",
        *(f"ALTER ROLE {name} SET {setting} = {value}" for setting, value in _settings(scope, facts)),
        *_membership(name, facts),
        *_grants(name, scope, facts),
    ]
    for grant in scope.tables:
        statements += _policies(role, grant)
    return ";\n".join(statements)


def _settings(scope: PostgresScope, facts: ServerFacts) -> Iterator[tuple[str, str]]:
    yield "statement_timeout", f"'{scope.seconds:d}s'"
    yield "lock_timeout", f"'{scope.seconds:d}s'"
    yield "idle_in_transaction_session_timeout", f"'{IDLE_SECONDS_MAX:d}s'"
    # The server's own names come first, so that nothing can shadow them; session-created objects come last.
    path = ["pg_catalog", *scope.schemas, "pg_temp"]
    yield "search_path", ", ".join(quoted_name(schema) for schema in path)
    if facts.version >= 140_000:
        # End a statement when its client is gone.
        yield "client_connection_check_interval", "'1s'"


def membership_statement(name: str, version: int) -> str:
    """Grant the role to the broker's account. Without superuser rights, only a member may drop what the role owns and
    end its sessions. name: quoted."""
    options = " WITH INHERIT TRUE, SET FALSE" if version >= 160_000 else ""
    return f"GRANT {name} TO CURRENT_USER{options}"


def _membership(name: str, facts: ServerFacts) -> Iterator[str]:
    if not facts.is_superuser:
        yield membership_statement(name, facts.version)


def _grants(name: str, scope: PostgresScope, facts: ServerFacts) -> Iterator[str]:
    if not facts.anybody_connects:
        yield f"GRANT CONNECT ON DATABASE {quoted_name(scope.database)} TO {name}"
    for schema in scope.schemas:
        if schema not in facts.used_by_anybody:
            yield f"GRANT USAGE ON SCHEMA {quoted_name(schema)} TO {name}"
    for grant in scope.tables:
        columns = ", ".join(quoted_name(column) for column in grant.columns)
        rights = ", ".join(
            f"{verb.upper()} ({columns})" if columns and verb != "delete" else verb.upper()
            for verb in grant.verbs
        )
        yield f"GRANT {rights} ON TABLE {grant.table.quoted} TO {name}"
    for sequence in scope.sequences:
        yield f"GRANT USAGE ON SEQUENCE {sequence.quoted} TO {name}"


def _policies(role: str, grant: TableGrant) -> Iterator[str]:
    """Create two policies for each verb: one that permits the rows, and a restrictive one that no other policy can
    widen."""
    if grant.rows is None:
        return
    rule = f"{quoted_name(grant.rows.column)} OPERATOR(pg_catalog.=) {quoted_text(grant.rows.equals)}"
    for verb in grant.verbs:
        for kind in ("PERMISSIVE", "RESTRICTIVE"):
            policy = quoted_name(f"{role}_{verb}_{kind.lower()}")
            yield (
                f"CREATE POLICY {policy} ON {grant.table.quoted} AS {kind} FOR {verb.upper()}"
                f" TO {quoted_name(role)}{_clauses(verb, rule)}"
            )


def _clauses(verb: Verb, rule: str) -> str:
    using = f" USING ({rule})" if verb != "insert" else ""
    check = f" WITH CHECK ({rule})" if verb in ("insert", "update") else ""
    return using + check


def wanted_rights(scope: PostgresScope) -> tuple[list[str], list[str], list[str | None]]:
    """Return the rights that the new role must have: relations, rights and columns, as parallel lists."""
    relations: list[str] = []
    rights: list[str] = []
    columns: list[str | None] = []
    for grant in scope.tables:
        for verb in grant.verbs:
            for column in grant.columns if grant.columns and verb != "delete" else (None,):
                relations.append(grant.table.quoted)
                rights.append(verb.upper())
                columns.append(column)
    return relations, rights, columns

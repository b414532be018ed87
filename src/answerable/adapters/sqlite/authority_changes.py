"""Define one version of the registers' schema: triggers that record every change of what authorizes actions, in the
same transaction. Never edit this version: another table needs a new version."""

from __future__ import annotations

from typing import Final


def _told(register: str, table: str, scope: str, *events: str) -> tuple[str, ...]:
    """Return triggers that record each change of a table.

    scope: SQL for the scope of a change, with `ROW` for the row; never a person's name, since the person may be erased.
    events: trigger events, with their conditions.
    """
    return tuple(
        f"CREATE TRIGGER authority_{table}_{number} AFTER {event} ON {table} {when}BEGIN "  # noqa: S608 - ours
        f"INSERT INTO authority_changes (register, scope) VALUES ('{register}', "
        f"{scope.replace('ROW', 'old' if event.startswith('DELETE') else 'new')}); END"
        for number, (event, _, condition) in enumerate(one.partition(" WHEN ") for one in events)
        for when in [f"WHEN {condition} " if condition else ""]
    )


_NAMED: Final = "CASE ROW.kind WHEN 'owner' THEN '*' ELSE ROW.kind || '/' || ROW.name END"
AUTHORITY_CHANGES: Final = (
    """CREATE TABLE authority_changes (
        number INTEGER PRIMARY KEY AUTOINCREMENT, register TEXT NOT NULL, scope TEXT NOT NULL
    ) STRICT""",
    # The limit equals `worlds.SCOPES_KEPT_MAX`.
    """CREATE TRIGGER authority_changes_bounded AFTER INSERT ON authority_changes BEGIN
        DELETE FROM authority_changes WHERE number <= new.number - 10000; END""",
    *_told("documents", "documents", "'*'", "INSERT", "UPDATE", "DELETE"),
    *_told("revocations", "revocations", _NAMED, "INSERT", "DELETE"),
    *_told("holds", "holds", _NAMED, "INSERT", "UPDATE OF kind, name, expires_at, lifted_at", "DELETE"),
    # Issuing a mandate only adds authority, so it is recorded only if the mandate arrives closed.
    *_told(
        "mandates", "mandates", "'mandate/' || ROW.id", "INSERT WHEN new.state = 'closed'",
        "UPDATE OF id, claims, token, state", "DELETE",
    ),
    *_told(
        "instances", "instances", "'instance/' || ROW.id", "INSERT WHEN new.state = 'ended'",
        "UPDATE OF id, key, process, parent, state, expires_at, body", "DELETE",
    ),
    *_told("manifests", "manifests", "'agent/' || ROW.agent", "INSERT", "UPDATE", "DELETE"),
    *_told("tool_pins", "tool_pins", "'tool/' || ROW.server || '/' || ROW.tool", "INSERT", "UPDATE", "DELETE"),
    *_told("passkeys", "passkeys", "'*'", "UPDATE OF id, person, body, removed_at", "DELETE"),
    *_told("duties", "duty_delegations", "'*'", "INSERT WHEN new.ended_at <> 0", "UPDATE", "DELETE"),
    *_told("authorities", "trust_domain", "'*'", "INSERT", "UPDATE", "DELETE"),
    *_told(
        "authorities", "federated", "'*'", "INSERT", "UPDATE OF document WHEN new.document <> old.document", "DELETE"
    ),
)  # fmt: skip

"""Parse the scope of a MariaDB lease: database, tables, verbs, columns and limits.

Laws: an unknown member refuses the scope; a name is taken literally, whatever characters it has; row rules are refused,
because MariaDB has none, with the advice to grant a view.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.adapters.mariadb_accounts.quoting import is_name, quoted_name
from answerable.targets.sql.scope import ScopeFaults

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.targets.sql.scope import ScopeLimits, Verb

_NO_ROW_RULES: Final = "MariaDB has no rules about rows: grant a view that shows the rows that are meant"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableGrant:
    """The rights on one table or view. columns: empty for the whole table."""

    table: str
    verbs: tuple[Verb, ...]
    columns: tuple[str, ...] = ()

    @property
    def rights(self) -> str:
        """Return the privileges in the syntax of GRANT."""
        columns = ", ".join(quoted_name(column) for column in self.columns)
        return ", ".join(
            f"{verb.upper()} ({columns})" if columns and verb != "delete" else verb.upper()
            for verb in self.verbs
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MariadbScope:
    """A parsed scope. rows_max: rows that one call may return or change. seconds: time limit of one statement."""

    database: str
    tables: tuple[TableGrant, ...]
    rows_max: int
    seconds: int


def scope_of(value: JSONValue, limits: ScopeLimits) -> MariadbScope | tuple[str, ...]:
    """Return the parsed scope, or its faults."""
    faults = ScopeFaults(_name_fault, {"rows": _NO_ROW_RULES})
    members = faults.members(value, "", ("database", "tables", "rowsMax", "seconds"))
    scope = MariadbScope(
        database=faults.database(members, limits),
        tables=faults.tables(members, lambda one, place: _table(one, place, faults)),
        rows_max=faults.bounded(members, "rowsMax", limits.rows_max),
        seconds=faults.bounded(members, "seconds", limits.seconds_max),
    )
    faults.check_overlaps(scope.tables)
    return tuple(faults) or scope


def _table(value: JSONValue, place: str, faults: ScopeFaults) -> TableGrant:
    members = faults.members(value, place, ("name", "verbs", "columns"))
    name = faults.name(members.get("name"), f"{place}.name")
    verbs, columns = faults.verbs_and_columns(members, place)
    return TableGrant(table=name, verbs=verbs, columns=columns)


def _name_fault(value: JSONValue) -> str:
    if isinstance(value, str) and is_name(value):
        return ""
    return "MariaDB: 1 to 64 characters, no NUL, no blank at the end"

"""Parse the scope of a lease on PostgreSQL.

Laws: a scope with an unknown member is refused; a name is only ever a name, whatever characters it has; without a row
rule, all rows are granted, and no agent can remove a row rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from answerable.adapters.postgres_roles.quoting import is_name, quoted_name
from answerable.errors import shown
from answerable.targets.sql.scope import TABLES_MAX, ScopeFaults

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.targets.sql.scope import ScopeLimits, Verb

VALUE_CHARS_MAX: Final = 512
SYSTEM_SCHEMAS: Final = frozenset({"pg_catalog", "information_schema", "pg_toast"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRule:
    """A limit to rows whose column equals a value."""

    column: str
    equals: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A table or a sequence, by schema and name."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def quoted(self) -> str:
        """The relation as quoted SQL."""
        return f"{quoted_name(self.schema)}.{quoted_name(self.name)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableGrant:
    """Rights on one table. columns: empty for the whole table. rows: None to leave rows to the table's own policies."""

    table: Relation
    verbs: tuple[Verb, ...]
    columns: tuple[str, ...] = ()
    rows: RowRule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresScope:
    """The parsed scope. rows_max: rows that one call may return or change. seconds: how long one statement may run."""

    database: str
    tables: tuple[TableGrant, ...]
    sequences: tuple[Relation, ...]
    rows_max: int
    seconds: int

    @property
    def schemas(self) -> tuple[str, ...]:
        """The schemas of all relations, each once."""
        relations = [grant.table for grant in self.tables] + list(self.sequences)
        return tuple(dict.fromkeys(relation.schema for relation in relations))


def scope_of(value: JSONValue, limits: ScopeLimits) -> PostgresScope | tuple[str, ...]:
    """Return the scope, or the faults in it."""
    faults = ScopeFaults(_name_fault)
    members = faults.members(value, "", ("database", "tables", "sequences", "rowsMax", "seconds"))
    scope = PostgresScope(
        database=faults.database(members, limits),
        tables=faults.tables(members, lambda one, place: _table(one, place, faults)),
        sequences=_sequences(members.get("sequences", []), faults),
        rows_max=faults.bounded(members, "rowsMax", limits.rows_max),
        seconds=faults.bounded(members, "seconds", limits.seconds_max),
    )
    faults.check_overlaps(scope.tables)
    return tuple(faults) or scope


def _table(value: JSONValue, place: str, faults: ScopeFaults) -> TableGrant:
    members = faults.members(value, place, ("name", "verbs", "columns", "rows"))
    verbs, columns = faults.verbs_and_columns(members, place)
    return TableGrant(
        table=_relation(members.get("name"), f"{place}.name", faults),
        verbs=verbs,
        columns=columns,
        rows=_rows(members["rows"], f"{place}.rows", faults) if "rows" in members else None,
    )


def _rows(value: JSONValue, place: str, faults: ScopeFaults) -> RowRule:
    members = faults.members(value, place, ("column", "equals"))
    column, equals = faults.name(members.get("column"), f"{place}.column"), members.get("equals")
    if isinstance(equals, int) and not isinstance(equals, bool):
        equals = str(equals)
    if not isinstance(equals, str) or not equals or len(equals) > VALUE_CHARS_MAX or not _is_value(equals):
        faults.add(
            f"{place}.equals", f"expected a text of 1 to {VALUE_CHARS_MAX} characters, or a whole number"
        )
        equals = ""
    return RowRule(column=column, equals=equals)


def _is_value(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _sequences(value: JSONValue, faults: ScopeFaults) -> tuple[Relation, ...]:
    if not isinstance(value, list) or len(value) > TABLES_MAX:
        faults.add("sequences", f"expected a list of at most {TABLES_MAX} names")
        return ()
    return tuple(_relation(one, f"sequences[{number}]", faults) for number, one in enumerate(value))


def _relation(value: JSONValue, place: str, faults: ScopeFaults) -> Relation:
    parts = value.split(".") if isinstance(value, str) else value
    if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(part, str) for part in parts):
        faults.add(place, 'expected "schema.name", or ["schema", "name"] where a name has a dot in it')
        return Relation(schema="", name="")
    schema, name = cast("list[str]", parts)
    faults.name(schema, place)
    faults.name(name, place)
    if schema in SYSTEM_SCHEMAS or schema.startswith("pg_"):
        faults.add(place, f"{shown(schema)} is the server's own: nothing of it is granted")
    return Relation(schema=schema, name=name)


def _name_fault(value: JSONValue) -> str:
    is_one = isinstance(value, str) and is_name(value) and _is_value(value)
    return "" if is_one else "PostgreSQL: 1 to 63 bytes, no NUL"

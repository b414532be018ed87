"""Parse the scope of a lease on PostgreSQL.

Laws: a scope with an unknown member is refused; a name is only ever a name, whatever characters it has; without a row
rule, all rows are granted, and no agent can remove a row rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, cast

from answerable.adapters.postgres_roles.quoting import is_name, quoted_name
from answerable.errors import shown

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

Verb = Literal["select", "insert", "update", "delete"]
VERBS: Final[tuple[Verb, ...]] = ("select", "insert", "update", "delete")
TABLES_MAX: Final = 50
COLUMNS_MAX: Final = 200
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeLimits:
    """The target owner's upper limits for scopes, which are also the defaults."""

    databases: frozenset[str]
    rows_max: int
    seconds_max: int


class _Faults(list[str]):
    """Faults, each prefixed with its place."""

    def add(self, place: str, wrong: str) -> None:
        self.append(f"{place}: {wrong}" if place else wrong)


def scope_of(value: JSONValue, limits: ScopeLimits) -> PostgresScope | tuple[str, ...]:
    """Return the scope, or the faults in it."""
    faults = _Faults()
    members = _members(
        value, "", frozenset({"database", "tables", "sequences", "rowsMax", "seconds"}), faults
    )
    database = members.get("database")
    if not isinstance(database, str) or database not in limits.databases:
        known = ", ".join(sorted(limits.databases))
        faults.add("database", f"expected one of the databases of the target's settings: {known}")
        database = ""
    scope = PostgresScope(
        database=database,
        tables=_tables(members.get("tables"), faults),
        sequences=_sequences(members.get("sequences", []), faults),
        rows_max=_bounded(members, "rowsMax", limits.rows_max, faults),
        seconds=_bounded(members, "seconds", limits.seconds_max, faults),
    )
    _check_overlaps(scope, faults)
    return tuple(faults) or scope


def _members(value: JSONValue, place: str, known: frozenset[str], faults: _Faults) -> dict[str, JSONValue]:
    if not isinstance(value, dict):
        faults.add(place, f"expected an object with {', '.join(sorted(known))}")
        return {}
    for name in sorted(value.keys() - known):
        faults.add(place, f"{shown(name, 40)} is unknown here: there are {', '.join(sorted(known))}")
    return value


def _tables(value: JSONValue, faults: _Faults) -> tuple[TableGrant, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= TABLES_MAX:
        faults.add("tables", f"expected a list of 1 to {TABLES_MAX} tables")
        return ()
    return tuple(_table(one, f"tables[{number}]", faults) for number, one in enumerate(value))


def _table(value: JSONValue, place: str, faults: _Faults) -> TableGrant:
    members = _members(value, place, frozenset({"name", "verbs", "columns", "rows"}), faults)
    verbs = members.get("verbs")
    if not isinstance(verbs, list) or not verbs or any(verb not in VERBS for verb in verbs):
        faults.add(f"{place}.verbs", f"expected a list of {', '.join(VERBS)}")
        verbs = []
    if len(verbs) != len({str(verb) for verb in verbs}):
        faults.add(f"{place}.verbs", "names a verb twice")
    columns = members.get("columns", [])
    if not isinstance(columns, list) or len(columns) > COLUMNS_MAX or ("columns" in members and not columns):
        faults.add(
            f"{place}.columns", f"expected a list of 1 to {COLUMNS_MAX} names; leave it out for all columns"
        )
        columns = []
    for column in columns:
        _check_name(column, f"{place}.columns", faults)
    if columns and verbs == ["delete"]:
        faults.add(f"{place}.columns", "deleting takes whole rows: leave the columns out")
    return TableGrant(
        table=_relation(members.get("name"), f"{place}.name", faults),
        verbs=tuple(verb for verb in VERBS if verb in verbs),
        columns=tuple(dict.fromkeys(str(column) for column in columns)),
        rows=_rows(members["rows"], f"{place}.rows", faults) if "rows" in members else None,
    )


def _rows(value: JSONValue, place: str, faults: _Faults) -> RowRule:
    members = _members(value, place, frozenset({"column", "equals"}), faults)
    column, equals = members.get("column"), members.get("equals")
    _check_name(column, f"{place}.column", faults)
    if isinstance(equals, int) and not isinstance(equals, bool):
        equals = str(equals)
    if not isinstance(equals, str) or not equals or len(equals) > VALUE_CHARS_MAX or not _is_value(equals):
        faults.add(
            f"{place}.equals", f"expected a text of 1 to {VALUE_CHARS_MAX} characters, or a whole number"
        )
        equals = ""
    return RowRule(column=str(column), equals=equals)


def _is_value(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _sequences(value: JSONValue, faults: _Faults) -> tuple[Relation, ...]:
    if not isinstance(value, list) or len(value) > TABLES_MAX:
        faults.add("sequences", f"expected a list of at most {TABLES_MAX} names")
        return ()
    return tuple(_relation(one, f"sequences[{number}]", faults) for number, one in enumerate(value))


def _relation(value: JSONValue, place: str, faults: _Faults) -> Relation:
    parts = value.split(".") if isinstance(value, str) else value
    if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(part, str) for part in parts):
        faults.add(place, 'expected "schema.name", or ["schema", "name"] where a name has a dot in it')
        return Relation(schema="", name="")
    schema, name = cast("list[str]", parts)
    _check_name(schema, place, faults)
    _check_name(name, place, faults)
    if schema in SYSTEM_SCHEMAS or schema.startswith("pg_"):
        faults.add(place, f"{shown(schema)} is the server's own: nothing of it is granted")
    return Relation(schema=schema, name=name)


def _check_name(value: JSONValue, place: str, faults: _Faults) -> None:
    if not isinstance(value, str) or not is_name(value) or not _is_value(value):
        faults.add(place, f"{shown(value, 40)} is no name in PostgreSQL: 1 to 63 bytes, no NUL")


def _bounded(members: dict[str, JSONValue], name: str, maximum: int, faults: _Faults) -> int:
    value = members.get(name, maximum)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= maximum:
        faults.add(name, f"expected a whole number from 1 to {maximum}, which the target's settings allow")
        return maximum
    return value


def _check_overlaps(scope: PostgresScope, faults: _Faults) -> None:
    seen: set[tuple[Relation, Verb]] = set()
    for grant in scope.tables:
        for verb in grant.verbs:
            if (grant.table, verb) in seen:
                faults.add(
                    "tables", f"{verb} on {shown(grant.table)} is granted twice, and would be the sum of both"
                )
            seen.add((grant.table, verb))

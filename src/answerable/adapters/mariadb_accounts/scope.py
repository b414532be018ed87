"""Parse the scope of a MariaDB lease: database, tables, verbs, columns and limits.

Laws: an unknown member refuses the scope; a name is taken literally, whatever characters it has; row rules are refused,
because MariaDB has none, with the advice to grant a view.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from answerable.adapters.mariadb_accounts.quoting import is_name, quoted_name
from answerable.errors import shown

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

Verb = Literal["select", "insert", "update", "delete"]
VERBS: Final[tuple[Verb, ...]] = ("select", "insert", "update", "delete")
TABLES_MAX: Final = 50
COLUMNS_MAX: Final = 200


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeLimits:
    """Maxima that the target's settings set for a scope, which are also its defaults."""

    databases: frozenset[str]
    rows_max: int
    seconds_max: int


class _Faults(list[str]):
    """Faults found, each with its place."""

    def add(self, place: str, wrong: str) -> None:
        self.append(f"{place}: {wrong}" if place else wrong)


def scope_of(value: JSONValue, limits: ScopeLimits) -> MariadbScope | tuple[str, ...]:
    """Return the parsed scope, or its faults."""
    faults = _Faults()
    members = _members(value, "", frozenset({"database", "tables", "rowsMax", "seconds"}), faults)
    database = members.get("database")
    if not isinstance(database, str) or database not in limits.databases:
        known = ", ".join(sorted(limits.databases))
        faults.add("database", f"expected one of the databases of the target's settings: {known}")
        database = ""
    tables = members.get("tables")
    if not isinstance(tables, list) or not 1 <= len(tables) <= TABLES_MAX:
        faults.add("tables", f"expected a list of 1 to {TABLES_MAX} tables")
        tables = []
    scope = MariadbScope(
        database=database,
        tables=tuple(_table(one, f"tables[{number}]", faults) for number, one in enumerate(tables)),
        rows_max=_bounded(members, "rowsMax", limits.rows_max, faults),
        seconds=_bounded(members, "seconds", limits.seconds_max, faults),
    )
    seen: set[tuple[str, Verb]] = set()
    for grant in scope.tables:
        for verb in grant.verbs:
            if (grant.table, verb) in seen:
                faults.add(
                    "tables", f"{verb} on {shown(grant.table)} is granted twice, and would be the sum of both"
                )
            seen.add((grant.table, verb))
    return tuple(faults) or scope


def _members(value: JSONValue, place: str, known: frozenset[str], faults: _Faults) -> dict[str, JSONValue]:
    if not isinstance(value, dict):
        faults.add(place, f"expected an object with {', '.join(sorted(known))}")
        return {}
    for name in sorted(value.keys() - known):
        if name == "rows":
            faults.add(
                place, "MariaDB has no rules about rows: grant a view that shows the rows that are meant"
            )
        else:
            faults.add(place, f"{shown(name, 40)} is unknown here: there are {', '.join(sorted(known))}")
    return value


def _table(value: JSONValue, place: str, faults: _Faults) -> TableGrant:
    members = _members(value, place, frozenset({"name", "verbs", "columns"}), faults)
    name, verbs, columns = members.get("name"), members.get("verbs"), members.get("columns", [])
    _check_name(name, f"{place}.name", faults)
    if not isinstance(verbs, list) or not verbs or any(verb not in VERBS for verb in verbs):
        faults.add(f"{place}.verbs", f"expected a list of {', '.join(VERBS)}")
        verbs = []
    if len(verbs) != len({str(verb) for verb in verbs}):
        faults.add(f"{place}.verbs", "names a verb twice")
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
        table=str(name),
        verbs=tuple(verb for verb in VERBS if verb in verbs),
        columns=tuple(dict.fromkeys(str(column) for column in columns)),
    )


def _check_name(value: JSONValue, place: str, faults: _Faults) -> None:
    if not isinstance(value, str) or not is_name(value):
        faults.add(
            place,
            f"{shown(value, 40)} is no name in MariaDB: 1 to 64 characters, no NUL, no blank at the end",
        )


def _bounded(members: dict[str, JSONValue], name: str, maximum: int, faults: _Faults) -> int:
    value = members.get(name, maximum)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= maximum:
        faults.add(name, f"expected a whole number from 1 to {maximum}, which the target's settings allow")
        return maximum
    return value

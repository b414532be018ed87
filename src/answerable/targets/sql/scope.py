"""Parse what scopes on SQL servers share: the database, tables with verbs and columns, and limits.

Laws: a scope with an unknown member is refused; all faults are found at once, each with its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeVar

from answerable.errors import Refused, shown
from answerable.errors.codes.leases import LEASE_SCOPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from answerable.core.canonical import JSONValue

Verb = Literal["select", "insert", "update", "delete"]
VERBS: Final[tuple[Verb, ...]] = ("select", "insert", "update", "delete")
TABLES_MAX: Final = 50
COLUMNS_MAX: Final = 200

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeLimits:
    """Maxima that the target's settings set for scopes, which are also the defaults."""

    databases: frozenset[str]
    rows_max: int
    seconds_max: int


class Granted(Protocol):
    """The verbs that are granted on a table."""

    @property
    def table(self) -> object: ...
    @property
    def verbs(self) -> tuple[Verb, ...]: ...


class ScopeFaults(list[str]):
    """The faults of a scope, and what is read from it. name_fault: returns why a text is no name at this server; empty
    if it is one. unknown: what to say of certain unknown members."""

    def __init__(
        self, name_fault: Callable[[JSONValue], str], unknown: Mapping[str, str] | None = None
    ) -> None:
        super().__init__()
        self._name_fault = name_fault
        self._unknown = unknown or {}

    def add(self, place: str, wrong: str) -> None:
        """Add a fault."""
        self.append(f"{place}: {wrong}" if place else wrong)

    def members(self, value: JSONValue, place: str, known: Iterable[str]) -> dict[str, JSONValue]:
        """Return the members of an object that has no other ones than these."""
        expected = ", ".join(sorted(known))
        if not isinstance(value, dict):
            self.add(place, f"expected an object with {expected}")
            return {}
        for name in sorted(value.keys() - {*known}):
            usual = f"{shown(name, 40)} is unknown here: there are {expected}"
            self.add(place, self._unknown.get(name, usual))
        return value

    def database(self, members: dict[str, JSONValue], limits: ScopeLimits) -> str:
        """Return the database, one of those of the settings."""
        database = members.get("database")
        if isinstance(database, str) and database in limits.databases:
            return database
        known = ", ".join(sorted(limits.databases))
        self.add("database", f"expected one of the databases of the target's settings: {known}")
        return ""

    def tables(
        self, members: dict[str, JSONValue], table: Callable[[JSONValue, str], Found]
    ) -> tuple[Found, ...]:
        """Return the tables. table: reads one at its place."""
        tables = members.get("tables")
        if not isinstance(tables, list) or not 1 <= len(tables) <= TABLES_MAX:
            self.add("tables", f"expected a list of 1 to {TABLES_MAX} tables")
            return ()
        return tuple(table(one, f"tables[{number}]") for number, one in enumerate(tables))

    def verbs_and_columns(
        self, members: dict[str, JSONValue], place: str
    ) -> tuple[tuple[Verb, ...], tuple[str, ...]]:
        """Return the verbs and columns of a table; no columns for all of them."""
        verbs, columns = members.get("verbs"), members.get("columns", [])
        if not isinstance(verbs, list) or not verbs or any(verb not in VERBS for verb in verbs):
            self.add(f"{place}.verbs", f"expected a list of {', '.join(VERBS)}")
            verbs = []
        if len(verbs) != len({str(verb) for verb in verbs}):
            self.add(f"{place}.verbs", "names a verb twice")
        named = f"{place}.columns"
        if (
            not isinstance(columns, list)
            or len(columns) > COLUMNS_MAX
            or ("columns" in members and not columns)
        ):
            self.add(named, f"expected a list of 1 to {COLUMNS_MAX} names; leave it out for all columns")
            columns = []
        for column in columns:
            self.name(column, named)
        if columns and verbs == ["delete"]:
            self.add(named, "deleting takes whole rows: leave the columns out")
        return tuple(verb for verb in VERBS if verb in verbs), tuple(dict.fromkeys(map(str, columns)))

    def name(self, value: JSONValue, place: str) -> str:
        """Return a name of something at the server."""
        if fault := self._name_fault(value):
            self.add(place, f"{shown(value, 40)} is no name in {fault}")
        return str(value)

    def bounded(self, members: dict[str, JSONValue], name: str, maximum: int) -> int:
        """Return a limit, which is at most, and by default, that of the settings."""
        value = members.get(name, maximum)
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= maximum:
            return value
        self.add(name, f"expected a whole number from 1 to {maximum}, which the target's settings allow")
        return maximum

    def check_overlaps(self, grants: Iterable[Granted]) -> None:
        """Check that no verb is granted twice on a table."""
        seen: set[tuple[object, Verb]] = set()
        for grant in grants:
            for verb in grant.verbs:
                if (grant.table, verb) in seen:
                    twice = f"{verb} on {shown(grant.table)} is granted twice, and would be the sum of both"
                    self.add("tables", twice)
                seen.add((grant.table, verb))


def ungrantable(faults: Sequence[str]) -> Refused:
    """Return the refusal of a scope (`lease.scope`)."""
    return LEASE_SCOPE(f"the scope cannot be granted: {faults[0]}", reasons=tuple(faults))
